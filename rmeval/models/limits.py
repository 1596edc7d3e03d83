"""What a network allows: packing, padding, pooling, lengths that share a pass, the longest text."""

from rmeval.engine.device import is_empty
from rmeval.engine.packable import sees_padding, why_not_packed
from rmeval.engine.plan import Pool
from rmeval.engine.scoring import ASKED_FOR, Engine
from rmeval.errors import BadOption, UnknownName
from rmeval.models.network import Network
from rmeval.records import ENGINES, POOLS

UNBOUNDED = 1 << 30  # for networks without a maximum of positions, in tokens


def choose_engine(network: Network, batch_tokens: int, engine: str) -> Engine:
    """Returns the engine asked for. Raises BadOption where packing is asked and not allowed."""
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    empty = is_empty(network)  # and cannot be asked
    network.may_pad = network.may_pad and (empty or not any(map(sees_padding, network.bodies)))
    boundary = _rope_boundary(network)
    if engine == "padded":
        return Engine(batch_tokens, reason=ASKED_FOR, boundary=boundary)
    asked = [] if empty and network.head is not None else network.bodies
    reason = next(filter(None, map(why_not_packed, asked)), None)
    if reason is not None and engine == "packed":
        raise BadOption(f"this model cannot be packed: {reason}; use `engine='padded'`")
    return Engine(batch_tokens, packed=reason is None, reason=reason, boundary=boundary)


def _rope_boundary(network: Network) -> int | None:
    """Returns the length beyond which LongRoPE uses its other angles, for those that have it."""
    found = set()
    for body in network.bodies:
        rope = getattr(body.config.get_text_config(), "rope_parameters", None) or {}
        if rope.get("rope_type") == "longrope":
            found.add(int(rope["original_max_position_embeddings"]))
    if len(found) > 1:
        raise BadOption("policy and reference use LongRoPE's other angles from different lengths")
    return found.pop() if found else None


def choose_pool(network: Network, rule: str | None) -> Pool:
    """Returns how the scored token is found: by the rule asked for, or None for the family's own.

    Raises BadOption where the network pools for itself.
    """
    if rule is None:
        return network.pool
    if rule not in POOLS:
        raise UnknownName("pool", rule, POOLS)
    if network.head is None:
        raise BadOption(f"`pool={rule!r}`: this model pools for itself; leave it out")
    return network.pool._replace(rule=rule)


def choose_max_length(
    asked: int | None, network: Network, longest: int | None, usual: int | None = None
) -> int:
    """Returns the longest sequence in tokens: as asked for, as is `usual`, or as positions allow.

    Raises BadOption for more than the positions.
    """
    positions = longest or min(map(_positions, network.bodies))
    if asked is not None and not 0 < asked <= positions:
        raise BadOption(f"`max_length={asked}`: this model takes 1 to {positions} tokens")
    return asked or min(usual or positions, positions)


def _positions(body: Network) -> int:
    config = body.config.get_text_config()
    positions: int = getattr(config, "max_position_embeddings", None) or UNBOUNDED
    for name, module in body.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None):
            positions -= module.padding_idx + 1  # RoBERTa counts positions from there
    return positions
