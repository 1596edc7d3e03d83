"""What a run will take, before anything is loaded: tokens, forward passes, memory, time."""

from typing import TYPE_CHECKING

from rmeval.benchmarks import Benchmark

if TYPE_CHECKING:
    from rmeval.models.pairwise import PairwiseModel
    from rmeval.models.reward_model import RewardModel


def describe_run(model: "RewardModel | PairwiseModel", benchmark: Benchmark) -> str:
    """Returns the arithmetic of a run; `model` needs no weights.

    The time is a lower bound: every matrix product at the rate that this device reaches on large
    ones, measured now.
    """
    from rmeval.engine.memory import bytes_per_token, matrix_rate, weight_bytes

    texts, real, computed, flops = model.plan(benchmark.preferences)
    network, engine = model.network, model.engine
    batch = engine.batch_tokens * bytes_per_token(network, model.dtype)
    rate = matrix_rate(model.device, model.dtype)
    kind = "tokens with padding"
    if engine.packed:
        kind = "unique tokens, shared prefixes once, if the model is found to allow it"
    lines = [
        f"{model.name} on {benchmark.name}, nothing loaded",
        f"  texts           {texts:,}, of {real:,} tokens",
        f"  to compute      {sum(computed):,} {kind}",
        f"  forward passes  {len(computed):,} of up to {engine.batch_tokens:,} tokens",
        f"  weights         {weight_bytes(network) / 2**30:.2f} GiB in {model.dtype_name}",
        f"  activations     up to {batch / 2**30:.2f} GiB in a forward pass",
        f"  arithmetic      {flops / 1e12:,.1f} TFLOP, at least {flops / rate:,.1f} s at the",
        f"                  {rate / 1e12:,.2f} TFLOP/s that {model.device} reaches now",
    ]
    return "\n".join(lines)
