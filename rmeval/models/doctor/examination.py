"""Is a model fit for a long run? Every check in order, and the cheap ones that a run makes."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from rmeval.engine.forward import forward_padded
from rmeval.engine.plan import LAST
from rmeval.errors import BadCheckpoint, one_line
from rmeval.models.checkpoints.weight_files import some
from rmeval.models.doctor.check import Check, is_healthy, worst_of
from rmeval.models.doctor.disguises import check_disguises
from rmeval.models.doctor.scored_token import SCORED_TOKEN, check_scored_token
from rmeval.models.doctor.scores import (
    LIMITS,
    Probe,
    check_batch,
    check_finite,
    check_float32,
    check_left_padding,
    check_packed,
    check_path,
    make_probe,
)
from rmeval.models.doctor.text import (
    ONE_TURN,
    OTHER,
    accepts,
    check_text,
    rough_conversations,
)
from rmeval.models.doctor.transformers_class import check_transformers
from rmeval.models.placement import checking_on
from rmeval.models.reward_model import RewardModel
from rmeval.records import Conversation, Message, Preference

logger = logging.getLogger("rmeval")

VITAL = ("template", "vocabulary", "truncation")  # without them there is nothing to score
LOUD = (
    "files",
    "BOS",
    "EOS",
    "date",
    "contents",
    SCORED_TOKEN,
)  # warnings that every reward depends on
PROBED_TEXTS = 4
MEANINGS = {
    "last": "is a token like any other",
    "last-not-pad": "is read, and passed over where it ends the text",
    "before-first-pad": "ends what is scored",
}
PLAIN = (ONE_TURN, (ONE_TURN[0], Message("assistant", OTHER)))


def check_model(model: RewardModel, pairs: Sequence[Preference]) -> list[Check]:
    """Makes every check, on `pairs` and on rough conversations of its own.

    It stops where a failure would make what follows meaningless: no rewards are computed of text
    that is not read, and none are compared that are not numbers.
    """
    with checking_on(model.device):
        return _all_checks(model, pairs)


def _all_checks(model: RewardModel, pairs: Sequence[Preference]) -> list[Check]:
    talks = [talk for pair in pairs for talk in (pair.conversations()[0], pair.conversations()[-1])]
    checks = [check_weights(model), check_files(model), *check_text(model, talks)]
    if not _is_readable(checks):
        return checks
    taken = [place for place in range(len(pairs)) if _of_pair(model, talks, place)]
    kept = [talk for place in taken for talk in _of_pair(model, talks, place)]
    rough = rough_conversations(model)
    probe = make_probe(model, [model.sequence(talk) for talk in (*kept, *rough)], len(kept) // 2)
    checks.append(check_finite(probe))
    if checks[-1].status == "fail":
        return checks
    return [
        *checks,
        check_scored_token(probe),
        check_pad_in_text(probe),
        check_batch(probe),
        check_packed(probe),
        check_left_padding(probe),
        check_float32(probe),
        check_transformers(probe),
        check_disguises(probe, [pairs[place] for place in taken]),
    ]


def cheap_checks(model: RewardModel, conversations: Sequence[Conversation]) -> list[Check]:
    """Makes the checks of what a model reads, and of the rewards of a few of `conversations`.

    The cost is about ten forward passes over one conversation.
    """
    checks = [check_files(model), *check_text(model, _spread_over(conversations, PROBED_TEXTS))]
    if not _is_readable(checks):
        return checks
    few = [talk for talk in _spread_over(conversations, PROBED_TEXTS) if accepts(model, talk)]
    ids = dict.fromkeys(tuple(model.sequence(talk)) for talk in (*few, *PLAIN))
    probe = make_probe(model, list(ids), 0)
    checks.append(check_finite(probe))
    if checks[-1].status == "fail":
        return checks
    return [*checks, check_scored_token(probe), check_path(probe)]


def require_sound(model: RewardModel, conversations: Sequence[Conversation]) -> None:
    """Makes the cheap checks, and keeps them; a warning that concerns every reward is logged.

    Raises BadCheckpoint naming the first that fails.
    """
    with checking_on(model.device):
        checks = cheap_checks(model, conversations)
    model.checks_made[:] = worst_of([*model.checks_made, *checks])
    for check in checks:
        _require_passed(model, check)
        if check.status == "warn" and check.name in LOUD:
            warning = one_line(f"{check.name}: {check.finding}; {check.advice}")
            model.warnings.append(warning)
            logger.warning("%s", warning)


def require_same_alone(
    model: RewardModel, rows: Sequence[Sequence[int]], rewards: Sequence[float]
) -> None:
    """Holds rewards that were computed together to a few of them alone. Raises BadCheckpoint."""
    few = list({tuple(row): place for place, row in enumerate(rows)}.values())[:PROBED_TEXTS]
    probe = make_probe(model, [rows[place] for place in few], 0)
    if len(few) > 1 and probe.tells_apart:
        together = [rewards[place] for place in few]
        advice = "pass `engine='padded', batch_tokens=1`, or `checks=False` to insist"
        limits = LIMITS[model.dtype]
        _require_passed(model, probe.compare("alone = together", together, limits, advice))


def _require_passed(model: RewardModel, check: Check) -> None:
    if check.status == "fail":
        advice = f"; {check.advice}" if check.advice else ""
        raise BadCheckpoint(
            f"{model.name} is not fit to run ({check.name}): {check.finding}{advice}; "
            "see `rmeval doctor`, or pass `checks=False` to insist"
        )


def check_weights(model: RewardModel) -> Check:
    """Reports what was placed: loading refuses weights that are missing or left over."""
    head = model.network.head
    layers = [] if head is None else [m for m in head.modules() if isinstance(m, nn.Linear)]
    sizes = [layer.in_features for layer in layers[:1]] + [layer.out_features for layer in layers]
    found = sum(len(checkpoint.shapes) for checkpoint in model.family.checkpoints)
    broken = [
        name
        for name, weight in model.network.named_parameters()
        if not weight.is_meta and not bool(torch.isfinite(weight).all())
    ]
    if broken:
        finding = f"{broken[0]} ({len(broken)} in all) holds NaN or infinite weights"
        advice = "download the checkpoint again; in float16, try `dtype='bfloat16'` or float32"
        return Check("weights", "fail", finding, advice)
    shown = f"head {' → '.join(map(str, sizes))}" if sizes else "the model has its own head"
    return Check("weights", "pass", f"{found} tensors, and every weight found in them; {shown}")


def check_files(model: RewardModel) -> Check:
    """Names weight files that stand beside those that were read, and that nothing claims."""
    beside = [file.name for part in model.family.checkpoints for file in part.unclaimed]
    if not beside:
        return Check("files", "pass", "every weight file is part of the checkpoint")
    finding = f"not read, since nothing claims it: {some(beside)}"
    return Check("files", "warn", finding, "remove it if it is not part of this model")


def check_pad_in_text(probe: Probe) -> Check:
    """Scores texts that hold the pad token, alone and padded: what it does there, it does alone.

    The pad token is that of the rule, or the tokenizer's where the scored token is the last.
    """
    name, model = "pad in text", probe.model
    pool = model.network.pool
    by_position = model.network.head is None or pool.rule == "last" or pool.pad_token_id is None
    pad = model.tokenizer.pad_token_id if by_position else pool.pad_token_id
    if pad is None:
        return Check(name, "pass", "the tokenizer has no pad token")
    holding = [index for index, ids in enumerate(probe.ids) if pad in ids or ~pad in ids]
    named = f"{model.tokenizer.decode([pad])!r} ({pad})"
    if not holding:
        return Check(name, "pass", f"{named} written in a text does not become the pad token")
    longest = max(probe.ids, key=len)
    rewards = list(probe.rewards)
    for index in holding:
        batch = [probe.ids[index], longest] if model.network.may_pad else [probe.ids[index]]
        rewards[index] = forward_padded(model.network, batch)[0]
    advice = "the model masks the pad token wherever it stands: take it out of the rows"
    check = probe.compare(name, rewards, LIMITS[model.dtype], advice)
    every = "every" if len(holding) == len(probe.ids) else "a"
    meaning = MEANINGS[LAST.rule if by_position else pool.rule]
    where = f"{named} in {every} text {meaning}: {check.finding}"
    return Check(name, check.status, where, check.advice)


def _is_readable(checks: Sequence[Check]) -> bool:
    """Whether conversations become ids that the network knows."""
    return is_healthy([check for check in checks if check.name in VITAL])


def _of_pair(
    model: RewardModel, talks: Sequence[Conversation], pair: int
) -> Sequence[Conversation]:
    """Returns a pair's two conversations, or none where the template refuses them."""
    both = talks[2 * pair : 2 * pair + 2]
    return both if all(accepts(model, talk) for talk in both) else ()


def _spread_over(conversations: Sequence[Conversation], count: int) -> list[Conversation]:
    """Returns at most `count` conversations, evenly spread."""
    step = max(1, len(conversations) // count)
    return list(conversations[::step][:count])
