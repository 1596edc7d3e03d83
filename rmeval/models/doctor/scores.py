"""Checks of rewards: finite, told apart, and the same alone, in a batch, packed, in float32.

The yardstick is the spread (standard deviation) of the rewards of a few conversations: a
difference matters when it is large against what tells good answers from bad ones.
"""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import pstdev

import numpy as np
import torch

from rmeval.engine.device import home, one_name_for_full, without_cudnn_attention
from rmeval.engine.forward import RewardNetwork, forward_padded, pick_states
from rmeval.engine.memory import (
    CONTEXT_BYTES,
    SHARE_OF_DEVICE,
    bytes_per_token,
    host_bytes,
    weight_bytes,
)
from rmeval.engine.packable import why_not_packed
from rmeval.engine.plan import Tokens, scored_place
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.errors import FOREIGN, BadOption, BadReward, first_line
from rmeval.models.doctor.check import Check
from rmeval.models.load import make_network
from rmeval.models.reward_model import RewardModel

# In shares of the rewards' spread, measured over 48 built-in conversations or 32 golden cases on
# the demonstration model and 12 random checkpoints of 10 architectures. Batching moved a reward by
# 2.3e-6 at most in float32, 0.01 in float16, 0.03 in bfloat16. A token seen that should not be
# moves it by a third and more. Between the two the model runs, with a warning.
EXACT, COARSE = (1e-4, 0.01), (0.05, 1 / 3)
LIMITS = {
    torch.float64: EXACT,
    torch.float32: EXACT,
    torch.float16: COARSE,
    torch.bfloat16: COARSE,
}
# The dtype itself moved them by 0.03 at most in float16; in bfloat16 by 0.01 on the demonstration
# model, which is trained, and by up to 0.36 on random weights. Beyond a whole spread it is noise.
OF_DTYPE = (0.05, 1.0)
OF_LEFT_PADDING = (0.05, math.inf)  # rmeval never does it
PEERS_BATCH = 8
NO_SPREAD = 1e-6  # of the rewards' size: below, they are all equal


@dataclass(frozen=True, slots=True)
class Probe:
    """A model, conversations as it reads them, and the reward of each computed alone.

    The first `2 * pairs` are the chosen and the rejected response of each pair in turn.
    """

    model: RewardModel
    ids: list[Tokens]
    pairs: int
    rewards: list[float]

    @property
    def spread(self) -> float:
        """The standard deviation of the rewards."""
        return pstdev(self.rewards)

    @property
    def tells_apart(self) -> bool:
        """Whether the rewards differ by more than rounding."""
        return self.spread > NO_SPREAD * max(map(abs, self.rewards))

    def wins(self, rewards: Sequence[float]) -> list[bool]:
        """Returns each pair's verdict: whether the chosen response has the higher reward."""
        return [rewards[2 * pair] > rewards[2 * pair + 1] for pair in range(self.pairs)]

    def compare(
        self, name: str, rewards: Sequence[float], limits: tuple[float, float], advice: str
    ) -> Check:
        """Compares other rewards of the same conversations; `limits` of a pass and a warning."""
        largest = max(abs(a - b) for a, b in zip(rewards, self.rewards, strict=True))
        share = largest / self.spread
        finding = f"largest difference {largest:.1e} ({100 * share:.2g} % of the rewards' spread)"
        if self.pairs:
            both = zip(self.wins(rewards), self.wins(self.rewards), strict=True)
            finding += f", {sum(a != b for a, b in both)} of {self.pairs} verdicts flip"
        if share <= limits[0]:
            return Check(name, "pass", finding)
        return Check(name, "warn" if share <= limits[1] else "fail", finding, advice)


def make_probe(model: RewardModel, sequences: Sequence[Sequence[int]], pairs: int) -> Probe:
    """Computes the reward of each sequence alone, by the reference path.

    Raises BadOption when one alone does not fit into memory.
    """
    ids = [np.asarray(sequence, np.int32) for sequence in sequences]
    try:
        return Probe(model, ids, pairs, rewards_alone(model.network, ids))
    except torch.OutOfMemoryError as error:
        raise BadOption(
            f"out of memory on one conversation of up to {max(map(len, ids))} tokens: use a "
            "smaller `max_length=` or `dtype=`, or a larger device"
        ) from error


def check_finite(probe: Probe) -> Check:
    """Rewards must be numbers, and not all the same."""
    broken = sum(not math.isfinite(reward) for reward in probe.rewards)
    count = len(probe.rewards)
    if broken:
        advice = "try `dtype='float32'` or bfloat16; if the weights hold NaN, download them again"
        return Check("finite", "fail", f"{broken} of {count} rewards are NaN or infinite", advice)
    low, high = min(probe.rewards), max(probe.rewards)
    if not probe.tells_apart:
        advice = "the head is not trained, or conversations do not reach it"
        return Check("finite", "fail", f"all {count} rewards are {low:.4g}", advice)
    finding = f"{count} rewards from {low:.3g} to {high:.3g}, spread {probe.spread:.2g}"
    if probe.pairs:
        finding += f"; chosen wins {sum(probe.wins(probe.rewards))} of {probe.pairs} pairs"
    return Check("finite", "pass", finding)


def check_path(probe: Probe) -> Check:
    """Compares with the path that a run takes."""
    return check_packed(probe) if probe.model.engine.packed else check_batch(probe)


def check_batch(probe: Probe) -> Check:
    """Compares with batches padded to the right."""
    check = _check_engine(probe, "alone = batch", replace(probe.model.engine, packed=False))
    if check.status == "pass" and not probe.model.network.may_pad:
        return replace(check, finding=f"{check.finding}; only equal lengths share a batch")
    return check


def check_packed(probe: Probe) -> Check:
    """Compares with packs that compute shared prefixes once, where the gate allows them."""
    bodies = [] if probe.model.engine.packed else probe.model.network.bodies
    for reason in filter(None, map(why_not_packed, bodies)):
        return Check("alone = packed", "skipped", f"takes the padded path: {reason}")
    return _check_engine(probe, "alone = packed", replace(probe.model.engine, packed=True))


def check_left_padding(probe: Probe) -> Check:
    """Compares with padding to the left, as other tools do: what their scores would differ."""
    name = "left padding"
    if probe.model.network.head is None:
        return Check(name, "skipped", "the model pools for itself")
    try:
        rewards = _padded_left(probe.model.network, probe.ids)
    except torch.OutOfMemoryError:
        return Check(name, "skipped", f"{PEERS_BATCH} at once do not fit on {probe.model.device}")
    except FOREIGN as error:
        finding = f"the model does not take it ({type(error).__name__}: {first_line(error)})"
        return Check(name, "skipped", finding)
    advice = "nothing to do here: rmeval pads to the right; tools that pad left get other scores"
    if not all(map(math.isfinite, rewards)):
        return Check(name, "warn", "gives rewards that are not finite", advice)
    return probe.compare(name, rewards, OF_LEFT_PADDING, advice)


def check_float32(probe: Probe) -> Check:
    """Compares with the same weights in float32. On a GPU the model waits on the host meanwhile."""
    name, model = "float32", probe.model
    if model.dtype in (torch.float32, torch.float64):
        return Check(name, "skipped", f"scores are computed in {model.dtype_name}")
    rewards = rewards_beside(probe, torch.float32, _alone_in_float32)
    if isinstance(rewards, str):
        return Check(name, "skipped", rewards)
    advice = f"{model.dtype_name} is coarse for this model: pass `dtype='float32'` where it fits"
    return probe.compare(name, rewards, OF_DTYPE, advice)


def rewards_beside(
    probe: Probe,
    dtype: torch.dtype,
    compute: Callable[[RewardModel, Sequence[Tokens]], list[float] | str],
) -> list[float] | str:
    """Returns the rewards that a second network in `dtype` gives, or why it cannot be had.

    A GPU is freed of the model meanwhile.
    """
    model = probe.model
    if hasattr(model.network, "hf_device_map"):
        return "the model is spread over several devices"
    needed, room = _bytes(probe, dtype), _room(model)
    if needed > room:
        return f"takes {needed / 2**30:.0f} GiB, and {room / 2**30:.0f} GiB may be used"
    with _set_aside(model):
        try:
            with one_name_for_full():
                return compute(model, probe.ids)
        except torch.OutOfMemoryError:
            return f"does not fit beside what else is on {model.device}"


def rewards_alone(network: RewardNetwork, ids: Sequence[Tokens]) -> list[float]:
    """Returns the reward of each sequence, computed by itself."""
    return [forward_padded(network, [sequence])[0] for sequence in ids]


def _check_engine(probe: Probe, name: str, engine: Engine) -> Check:
    network = probe.model.network
    advice = "sequences of a batch see each other: pass `engine='padded', batch_tokens=1`"
    if engine.packed:
        advice = "shared prefixes are not exact for this model: pass `engine='padded'`"
    limits = LIMITS[probe.model.dtype]
    try:
        rewards = score_sequences(network, probe.ids, engine)
    except BadReward as error:
        return Check(name, "fail", f"finite alone, not together: {first_line(error)}", advice)
    check = probe.compare(name, rewards, limits, advice)
    if check.status == "warn" and limits is COARSE:
        return replace(check, advice="this is rounding: pass `dtype='float32'` where it matters")
    return check


def _alone_in_float32(model: RewardModel, ids: Sequence[Tokens]) -> list[float]:
    network = make_network(model.family, model.device, torch.float32)
    network.pool = model.network.pool
    return rewards_alone(network, ids)


@one_name_for_full()
@without_cudnn_attention()
@torch.inference_mode()
def _padded_left(network: RewardNetwork, ids: Sequence[Tokens]) -> list[float]:
    """Returns rewards as tools give them that pad left, eight at a time in the data's order.

    Like those, it passes a mask and no positions: every token of a short text stands further on.
    """
    assert network.head is not None
    device = home(network.backbone)
    rewards: list[float] = []
    for start in range(0, len(ids), PEERS_BATCH):
        batch = ids[start : start + PEERS_BATCH]
        shape = (len(batch), max(map(len, batch)))
        padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)  # (N, L)
        for row, sequence in enumerate(batch):
            padded[row, -len(sequence) :], mask[row, -len(sequence) :] = sequence, 1
        hidden = network.backbone(
            input_ids=torch.from_numpy(padded).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            use_cache=False,
        ).last_hidden_state  # (N, L, H)
        ends = torch.arange(1, len(batch) + 1) * shape[1] - 1
        back = [len(row) - 1 - scored_place(row, network.pool) for row in batch]
        states = pick_states(network, hidden.flatten(0, 1), ends - torch.tensor(back), ends)
        states = states.to(torch.promote_types(hidden.dtype, torch.float32))
        rewards += network.head(states).reshape(len(batch)).tolist()
    return rewards


@contextmanager
def _set_aside(model: RewardModel) -> Iterator[None]:
    """Frees a GPU of the model for a while."""
    if model.device.type == "cpu":
        yield
        return
    model.network.to("cpu")
    torch.cuda.empty_cache()
    try:
        yield
    finally:  # what took its place goes first, or there is no room to come back to
        gc.collect()
        torch.cuda.empty_cache()
        model.network.to(model.device)


def _bytes(probe: Probe, dtype: torch.dtype) -> int:
    network = probe.model.network
    weights = weight_bytes(network) * dtype.itemsize // probe.model.dtype.itemsize
    return weights + max(map(len, probe.ids)) * bytes_per_token(network, dtype)


def _room(model: RewardModel) -> int:
    """Returns the bytes that a second network may take; on a CPU the first stays beside it."""
    if model.device.type == "cuda":
        if weight_bytes(model.network) > SHARE_OF_DEVICE * host_bytes():
            return 0  # it could not wait on the host
        total = torch.cuda.get_device_properties(model.device).total_memory - CONTEXT_BYTES
        return int(SHARE_OF_DEVICE * total)
    return int(SHARE_OF_DEVICE * host_bytes()) - weight_bytes(model.network)
