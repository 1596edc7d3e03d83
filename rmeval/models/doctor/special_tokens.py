"""Checks of what template and tokenizer disagree on (BOS, EOS, [CLS], [SEP]), and of the date."""

from collections.abc import Sequence
from itertools import takewhile

from rmeval.models.doctor.check import Check
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.day import ASKS
from rmeval.records import Conversation


def check_specials(model: RewardModel, talk: Conversation) -> list[Check]:
    """Says how a conversation begins and ends, against what the tokenizer would add to its text."""
    ids = model.read([talk])[0]
    own, bos = model.specials.of_tokenizer, model.tokenizer.bos_token_id
    front = _check_twice(model, ids, bos) or _check_front(model, ids, own.before, bos)
    last = own.after if model.family.end_token() is None else ()
    return [front, _check_back(model, ids, last)]


def check_day(model: RewardModel) -> Check:
    """Says on which day a template is rendered that asks for today's."""
    if ASKS not in model.family.template(model.tokenizer):
        return Check("date", "pass", "the template does not ask for one")
    day = model.tokenizer.day
    finding = f"the template asks for today's ({ASKS}) and is always given {day.day}, {day.source}"
    if model.day_asked is not None:
        return Check("date", "pass", finding)
    return Check("date", "warn", finding, "pass `date=` if the model was trained with another")


def _check_twice(model: RewardModel, ids: Sequence[int], bos: int | None) -> Check | None:
    """Counts at the beginning: some templates rightly write one before every turn."""
    leading = sum(1 for _ in takewhile(lambda token: token == bos, ids))
    if leading < 2:
        return None
    policy, said_by = model.policy()
    finding = f"{_named(model, [bos])} appears {leading} times at the beginning"
    if policy == "tokenizer":
        finding += f", the template's and the tokenizer's ({said_by})"
        return Check("BOS", "warn", finding, "pass `specials='once'` if it was trained with one")
    advice = "the template must write bos_token once: a second one changes every score"
    return Check("BOS", "fail", finding, advice)


def _check_front(
    model: RewardModel, ids: Sequence[int], own: Sequence[int], bos: int | None
) -> Check:
    if bos is None and not own:
        return Check("BOS", "pass", "the tokenizer has none")
    first = list(own) if own else [bos]
    named = _named(model, first)
    if list(ids[: len(first)]) == first:
        writer = "the tokenizer adds" if model.specials.around.before else "the template writes"
        return Check("BOS", "pass", f"{named} once, as {writer} it")
    if own:
        advice = (
            "if the model was trained with it, pass `specials='once'`, or write it first in the "
            "template"
        )
        return Check("BOS", "warn", f"the template writes no {named}, the tokenizer would", advice)
    return Check("BOS", "pass", f"none: neither template nor tokenizer writes {named}")


def _check_back(model: RewardModel, ids: Sequence[int], own: Sequence[int]) -> Check:
    if not own:
        return Check("EOS", "pass", "the tokenizer appends none")
    named = _named(model, own)
    if list(ids[-len(own) :]) == list(own):
        return Check("EOS", "pass", f"{named} is at the end")
    finding = f"the tokenizer would append the end token {named}, and nothing here writes it"
    advice = "if the model was trained with it, pass `specials='once'`"
    return Check("EOS", "warn", finding, advice)


def _named(model: RewardModel, ids: Sequence[int | None]) -> str:
    tokens = model.tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(f"{token!r} ({index})" for token, index in zip(tokens, ids, strict=True))
