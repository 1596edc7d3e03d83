"""Checks of what a model reads: template, contents, BOS, end token, vocabulary, truncation.

They need no weights. What they look for are the ways in which a score is of another text than
the one that was meant, without an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rmeval.engine.plan import scored_place
from rmeval.engine.truncation import common_prefix
from rmeval.errors import BadCheckpoint, BadConversation, BadOption
from rmeval.models.doctor.check import Check
from rmeval.models.doctor.special_tokens import check_day, check_specials
from rmeval.models.reward_model import PROBES, RewardModel
from rmeval.records import Conversation, Message

# ASCII letters and digits come back from every tokenizer's decode, up to case and spaces.
OTHER = "Nothing of 53 kinds."
REFERENCE = "Jade, and 8 more."  # for models that compare an answer with one
ONE_TURN = (
    Message("user", "Name a colour of 17 stones.", reference=REFERENCE),
    Message("assistant", "Amber and cobalt, 29 of them."),
)
WITH_SYSTEM = (Message("system", "You answer in 11 words.", reference=REFERENCE), *ONE_TURN)
SEVERAL_TURNS = (
    Message("user", "Hello, 3 of us are here.", reference=REFERENCE),
    Message("assistant", "Welcome, all 4 of you."),
    *ONE_TURN,
)
SHAPES = {"one turn": ONE_TURN, "a system message": WITH_SYSTEM, "several turns": SEVERAL_TURNS}
TRUNCATED_AT = 2048  # longer maxima are tried here: the cut is the same
TEMPLATE = "correct chat_template.jinja (or chat_template in tokenizer_config.json)"


def check_text(model: RewardModel, conversations: Sequence[Conversation]) -> list[Check]:
    """Checks how a model reads conversations; ends at the first check that others rest on."""
    try:
        refused = {name: why_refused(model, talk) for name, talk in SHAPES.items()}
    except BadCheckpoint as error:
        return [Check("template", "fail", str(error))]
    shapes = {name: talk for name, talk in SHAPES.items() if refused[name] is None}
    checks = [_check_template(model, refused)]
    if "one turn" not in shapes:
        return checks
    read = [talk for talk in conversations if accepts(model, talk)]
    return [
        *checks,
        _check_vocabulary(model, [*shapes.values(), *read]),
        _check_contents(model, shapes),
        *check_specials(model, ONE_TURN),
        check_day(model),
        _check_end(model),
        _check_truncation(model, read),
    ]


def accepts(model: RewardModel, conversation: Conversation) -> bool:
    """Whether the chat template takes a conversation, and writes anything. Raises BadCheckpoint."""
    return why_refused(model, conversation) is None


def why_refused(model: RewardModel, conversation: Conversation) -> str | None:
    """Returns why the chat template does not take a conversation, or None if it does."""
    try:
        return None if model.read([conversation])[0] else "it writes nothing"
    except BadConversation as error:
        return error.reason


def rough_conversations(model: RewardModel) -> list[Conversation]:
    """Returns conversations with edges that data has, as far as the model can read them."""
    tokenizer = model.tokenizer
    specials = (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token)
    answers = ["", "7", "  \n\n", "naïve café 你好 🎉 \u200b العربية", *filter(None, specials)]
    talks: list[Conversation] = [
        (ONE_TURN[0], Message("assistant", f"So {answer} it is." if answer in specials else answer))
        for answer in dict.fromkeys(answers)
    ]
    read = [talk for talk in (*talks, WITH_SYSTEM, SEVERAL_TURNS) if accepts(model, talk)]
    ids = model.read(read)
    size = model.network.vocab_size
    return [talk for talk, row in zip(read, ids, strict=True) if max(row) < size]


def _check_template(model: RewardModel, reasons: Mapping[str, str | None]) -> Check:
    refused = [name for name in SHAPES if reasons[name] is not None]
    if "one turn" in refused:
        finding = f"renders no user's message with an answer: {reasons['one turn']}"
        advice = f"correct {model.template.source}" if model.template else TEMPLATE
        return Check("template", "fail", finding, advice)
    if refused:
        advice = "a benchmark that holds such rows will be refused, naming the row"
        return Check("template", "warn", f"refuses {' and '.join(refused)}", advice)
    return Check("template", "pass", f"renders {', '.join(reasons)}")


def _check_vocabulary(model: RewardModel, conversations: Sequence[Conversation]) -> Check:
    largest = max(map(max, model.read(conversations)))
    size, named = model.network.vocab_size, len(model.tokenizer)
    if largest >= size:
        finding = f"the tokenizer gives token {largest}; the network knows 0 to {size - 1}"
        advice = "take config.json, weights and tokenizer from one and the same checkpoint"
        return Check("vocabulary", "fail", finding, advice)
    if named > size:
        finding = f"the tokenizer has {named} tokens, the network {size}"
        advice = "a row whose text gives one of the others will be refused, naming the row"
        return Check("vocabulary", "warn", finding, advice)
    return Check("vocabulary", "pass", f"{named} tokens in the tokenizer, {size} in the network")


def _check_contents(model: RewardModel, shapes: Mapping[str, Conversation]) -> Check:
    """A message is lost if another text in its place gives the same tokens."""
    lost: dict[str, None] = {}
    for conversation in shapes.values():
        changed = [
            (*conversation[:index], message.saying(OTHER), *conversation[index + 1 :])
            for index, message in enumerate(conversation)
        ]
        ids, *others = model.read([conversation, *changed])
        for index, (message, other) in enumerate(zip(conversation, others, strict=True)):
            if ids == other:
                last = index >= len(conversation) - len(ONE_TURN) or message.role == "system"
                lost[f"the {'' if last else 'earlier '}{message.role} message"] = None
    if lost:
        vital = {"the user message", "the assistant message"} & lost.keys()
        finding = f"the template drops {' and '.join(lost)}"
        return Check("contents", "fail" if vital else "warn", finding, TEMPLATE)
    text = _squeeze(model.tokenizer.decode(model.read([ONE_TURN])[0]))
    if not all(_squeeze(message.content) in text for message in ONE_TURN):
        finding = "the tokens do not decode to the text of the messages"
        advice = "look at a row with `rmeval show`; the template or the tokenizer alters the text"
        return Check("contents", "warn", finding, advice)
    return Check("contents", "pass", "every message is in the tokens, and decodes to its text")


def _check_end(model: RewardModel) -> Check:
    """Says from which token the reward is read, and what stands after it."""
    ids, pool = model.read([ONE_TURN])[0], model.network.pool
    if model.network.head is None:
        return Check("end token", "pass", f"the model pools for itself; the last is {ids[-1]}")
    place = scored_place(np.asarray(ids, np.int32), pool)
    read_from = f"{model.last_token} {model.tokenizer.decode([ids[place]])!r} ({ids[place]})"
    if place < len(ids) - 1:
        after = model.tokenizer.decode(ids[place + 1 :])
        read_from += f", {pool.rule} with {pool.pad_token_id} as pad; after it stands {after!r}"
    if model.family.end_token() is not None:
        return Check("end token", "pass", f"{read_from}, the family's own")
    prompt = _generation_prompt(model)
    if prompt:
        finding = f"every conversation ends in the header of another answer, {prompt!r}"
        advice = "right for models trained that way; otherwise take it out of the template"
        return Check("end token", "warn", finding, advice)
    return Check("end token", "pass", read_from)


def _generation_prompt(model: RewardModel) -> str:
    """Returns the assistant's header if it stands again behind the answer, else nothing.

    The parts of a template are found by changing one content at a time: between the user's and
    the assistant's text stands the header, behind the assistant's the tail. A template whose
    separator is the same before both roles has no header that could stand there.
    """
    one, user, answer = model.read([_talk("xx"), _talk("7x"), _talk("x7")])
    header = _between(one, user, answer)
    tail = one[len(one) - common_prefix(one[::-1], answer[::-1]) :]
    again = common_prefix(header[::-1], tail[::-1])
    text: str = model.tokenizer.decode(tail[len(tail) - again :])
    if not any(map(str.isalnum, text)):
        return ""
    turns = [_talk("xxxx"), _talk("x7xx"), _talk("xx7x")]
    if all(accepts(model, turn) for turn in turns) and header == _between(*model.read(turns)):
        return ""
    return text


def _talk(contents: str) -> Conversation:
    """Returns turns of user and assistant, whose contents are one of PROBES, a character, each."""
    assert set(contents) <= set(PROBES)
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(contents))


def _between(ids: list[int], before: list[int], after: list[int]) -> list[int]:
    """Returns the tokens between two contents, of which `before` and `after` change one each."""
    return ids[len(ids) - common_prefix(ids[::-1], before[::-1]) : common_prefix(ids, after)]


def _check_truncation(model: RewardModel, conversations: Sequence[Conversation]) -> Check:
    limit = min(model.max_length, TRUNCATED_AT)
    long = (ONE_TURN[0].saying("amber " * limit + ONE_TURN[0].content), ONE_TURN[1])
    whole = model.read([long])[0]
    cutting = replace(model, max_length=limit)
    cutting.__dict__["tokenizer"] = model.tokenizer  # large ones take seconds to load
    try:
        ids, truncated = cutting.encode_fitted(long)
    except BadOption as error:
        return Check("truncation", "fail", str(error))
    other = cutting.encode((long[0], Message("assistant", OTHER)))
    answered = _squeeze(ONE_TURN[1].content) in _squeeze(model.tokenizer.decode(list(ids)))
    if not (truncated and answered and ids[-1] == whole[-1]) or list(ids) == other:
        finding = f"a conversation of {len(whole)} tokens, cut to {limit}, loses its answer"
        return Check("truncation", "fail", finding, "pass a larger `max_length=`")
    lengths = [len(row) for row in model.read(conversations)]
    cut = sum(length > model.max_length for length in lengths)
    if cut:
        finding = f"{cut} of {len(lengths)} conversations are longer than {model.max_length} tokens"
        return Check("truncation", "warn", f"{finding} and are cut", "pass a larger `max_length=`")
    kept = f"{len(whole)} tokens, cut to {limit}, keep the answer"
    return Check("truncation", "pass", f"{kept}; none of {len(lengths)} conversations is cut")


def _squeeze(text: str) -> str:
    """Returns the letters and digits of a text, without case."""
    return "".join(filter(str.isalnum, text.casefold()))
