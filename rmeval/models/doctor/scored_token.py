"""Is the reward read from the token that training read? Asked where the rules differ."""

from collections.abc import Mapping

import numpy as np

from rmeval.engine.plan import scored_place
from rmeval.metrics.paired import flip_test
from rmeval.models.doctor.check import Check
from rmeval.models.doctor.scores import Probe, rewards_alone
from rmeval.models.dpo.network import DPO
from rmeval.models.families.classifier import Classifier
from rmeval.models.network import Network
from rmeval.models.reward_model import RewardModel
from rmeval.records import POOLS

SCORED_TOKEN = "scored token"
OF_TRAINER = ("training_args.bin", "trainer_state.json")  # transformers' Trainer, and so TRL's
OF_OPENRLHF = "value_head_prefix"  # in config.json; its models read the attention mask's last
SIGNIFICANT = 0.05


def check_scored_token(probe: Probe) -> Check:
    """Says by which rule the scored token is found, and warns where training likely had another.

    Traces of a trainer in the checkpoint decide. Without one a rule must win significantly more
    pairs (the sign test over those that only one of the two wins). Without pairs nothing is
    computed.
    """
    model, network = probe.model, probe.model.network
    if network.head is None:
        return Check(SCORED_TOKEN, "skipped", "the model pools for itself")
    if isinstance(model.family, DPO):
        return Check(SCORED_TOKEN, "skipped", "a response's tokens are all scored")
    ours = network.pool.rule
    read = probe.ids[: 2 * probe.pairs] or probe.ids
    places = {
        rule: [scored_place(ids, network.pool._replace(rule=rule)) for ids in read]
        for rule in POOLS
    }
    others = [rule for rule in POOLS if places[rule] != places[ours]]
    if not others:
        finding = f"{ours}; every other rule reads the same token of {len(read)} texts"
        return Check(SCORED_TOKEN, "pass", finding)
    wins = _wins(probe, [ours, *others]) if probe.pairs else {}
    finding = f"{ours}{' (asked for)' if model.pool_asked else ''}, not {' or '.join(others)}"
    if wins:
        counts = ", ".join(f"{rule} {sum(won)}" for rule, won in wins.items())
        finding += f"; of {probe.pairs} pairs chosen wins by {counts}"
    likely, why = _trained_with(model) or _better(wins, ours) or (ours, "")
    if places[likely] == places[ours]:
        return Check(SCORED_TOKEN, "pass", f"{finding}{f'; {why}' if why else ''}")
    advice = f"training most likely read {likely} ({why}): pass `pool={likely!r}`"
    return Check(SCORED_TOKEN, "warn", finding, advice)


def _wins(probe: Probe, rules: list[str]) -> dict[str, list[bool]]:
    """Returns each pair's verdict under each rule; the first is that of the probe's rewards."""
    network = probe.model.network
    found = {rules[0]: probe.wins(probe.rewards)}
    for rule in rules[1:]:
        other = Network(network.backbone, network.head, pool=network.pool._replace(rule=rule))
        found[rule] = probe.wins(rewards_alone(other, probe.ids[: 2 * probe.pairs]))
    return found


def _trained_with(model: RewardModel) -> tuple[str, str] | None:
    """Returns the rule that training had and what tells, where a trainer has left a trace."""
    checkpoint = model.family.checkpoint
    if OF_OPENRLHF in checkpoint.config:
        return "last", f"config.json has OpenRLHF's {OF_OPENRLHF}"
    traces = [name for name in OF_TRAINER if (checkpoint.folders[0] / name).is_file()]
    if traces and isinstance(model.family, Classifier):
        return model.family.pool, f"{traces[0]} is of transformers' Trainer, whose class has it"
    return None


def _better(wins: Mapping[str, list[bool]], ours: str) -> tuple[str, str] | None:
    """Returns the rule that wins most pairs, where that is significantly more than ours does."""
    if not wins:
        return None
    best = max(wins, key=lambda rule: sum(wins[rule]))
    gained = np.array(wins[best], float) - np.array(wins[ours], float)
    p = flip_test(gained[gained != 0])[0]
    if gained.sum() <= 0 or p >= SIGNIFICANT:
        return None
    return best, f"{gained.sum():.0f} more pairs won, p = {p:.2g}"
