"""One model over all processes of a launch: each holds a part of every large matrix.

Which part is transformers' own plan (`base_model_tp_plan`): "colwise" cuts the outputs of a layer,
heads among them, "rowwise" its inputs, and what those give is summed over the processes. All
compute every forward pass together, so all must make the same ones in the same order.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from rmeval.engine.workers import count_processes, patience
from rmeval.errors import BadOption, Blaming, PeerLost
from rmeval.models.network import Network

CUT = {"colwise": 0, "rowwise": 1}  # which side of a weight, (out, in)
# An embedding is looked up: whole or cut and summed, each process has the same of it.
WHOLE = ("replicated_with_grad_allreduce", "replicate", "embedding_rowwise")
SLOWEST_SUM = 2  # times `patience`; then a process that sums with this one is gone


@dataclass(frozen=True)
class Parts:
    """What of each weight process `rank` of `count` holds: all, unless `sides` cuts it.

    Of a bias that is added after a sum, rank 0 holds all and the others nothing. `shapes` are those
    of what is cut, whole.
    """

    rank: int = 0
    count: int = 1
    sides: dict[str, int] = field(default_factory=dict)
    added_once: set[str] = field(default_factory=set)
    shapes: dict[str, torch.Size] = field(default_factory=dict)

    def of(self, name: str, value: Tensor) -> Tensor:
        """Returns this process's part of a weight."""
        if name in self.added_once and self.rank:
            return torch.zeros_like(value)
        if name not in self.sides:
            return value
        return value.chunk(self.count, self.sides[name])[self.rank].clone()


def join_parts(device: torch.device) -> Parts:
    """Returns this process's place among those of the launch. Raises BadOption for one alone."""
    if count_processes() == 1:
        raise BadOption(
            "`parallel='tensor'` is for several processes, and there is one: start it with "
            "`torchrun --nproc_per_node N -m rmeval run`, or leave it out"
        )
    if not distributed.is_initialized():
        with Blaming(BadOption, "`parallel='tensor'`: the processes do not come together"):
            backend = "nccl" if device.type == "cuda" else "gloo"
            most = timedelta(seconds=SLOWEST_SUM * patience())
            distributed.init_process_group(backend, timeout=most)
    return Parts(distributed.get_rank(), distributed.get_world_size())


def cut(network: Network, parts: Parts) -> None:
    """Makes of an empty network that of one process, and notes in `parts` what is cut.

    Raises BadOption for a model that transformers has no plan for, or whose sizes do not divide.
    """
    config = network.config.get_text_config()
    plan = getattr(config, "base_model_tp_plan", None) or {}
    styles = {name: plan.get(_starred(name)) for name, _ in network.backbone.named_modules()}
    unknown = set(plan.values()) - {*CUT, *WHOLE}
    if not plan or unknown or {_starred(name) for name in styles if styles[name]} != set(plan):
        reason = f"its plan has {min(unknown)!r}" if unknown else "transformers has no plan for it"
        raise BadOption(f"`parallel='tensor'`: this model is not cut here ({reason}); leave it out")
    for kind in ("num_attention_heads", "num_key_value_heads"):
        heads = getattr(config, kind, None) or config.num_attention_heads
        _require_equal_parts(kind, heads, parts.count)
    for name, module in network.backbone.named_modules():
        style = styles[name]
        if style in CUT:
            _cut_layer(module, f"backbone.{name}", CUT[style], parts)


def _cut_layer(module: nn.Module, name: str, side: int, parts: Parts) -> None:
    for kind, weight in list(module.named_parameters(recurse=False)):
        called = f"{name}.{kind}"
        if side == 1 and weight.ndim == 1:
            parts.added_once.add(called)
            continue
        _require_equal_parts(called, weight.shape[side], parts.count)
        parts.sides[called], parts.shapes[called] = side, weight.shape
        own = weight.data.chunk(parts.count, side)[parts.rank]
        setattr(module, kind, nn.Parameter(own, requires_grad=False))
    if side == 1:
        module.register_forward_hook(_sum)


def _sum(module: nn.Module, given: object, output: Tensor) -> Tensor:
    with Blaming(
        PeerLost, "a process that holds a part of the model is gone; start the launch again"
    ):
        distributed.all_reduce(output)
    return output


def _starred(name: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".*", name)


def _require_equal_parts(what: str, size: int, count: int) -> None:
    if size % count:
        raise BadOption(
            f"`parallel='tensor'`: {what} is {size}, which {count} processes do not divide"
        )
