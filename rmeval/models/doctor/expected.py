"""What a model gives for the conversations that engines are asked, rightly and by each mistake."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from rmeval.engine.device import home, one_name_for_full, without_cudnn_attention
from rmeval.engine.forward import pick_states
from rmeval.engine.plan import Tokens, scored_place
from rmeval.engine.scoring import score_sequences
from rmeval.errors import BadOption, BadReward, first_line
from rmeval.models.doctor.mistakes import (
    BOS_DOUBLED,
    BOS_MISSING,
    END_APPENDED,
    LAST_MISSING,
    MEAN_POOLED,
    NORMALISED,
    OTHER_RULE,
    PROMPT_APPENDED,
    RIGHT,
    SPECIALS_DOUBLED,
    SPECIALS_MISSING,
    TODAY,
    Expected,
    Mistake,
    Row,
    cuts_of,
)
from rmeval.models.doctor.scores import Probe, rewards_beside
from rmeval.models.doctor.text import ONE_TURN, SEVERAL_TURNS, WITH_SYSTEM, accepts
from rmeval.models.dpo.network import DPO
from rmeval.models.families.polar import Polar
from rmeval.models.load import make_network
from rmeval.models.network import Network
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.day import ASKS, Day
from rmeval.models.text.tokenizer import render
from rmeval.records import POOLS, Conversation, Message

PRECISIONS = ("float32", "bfloat16", "float16")  # an engine's own dtype is one of them
LENGTHS = (150, 220, 330, 560, 800, 1100, 1300, 1700, 2200)  # tokens of the long ones, about
WORDS = (
    *("amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "island"),
    *("juniper", "kelp", "lagoon", "meadow", "nectar", "opal", "prairie", "quartz", "river"),
    *("slate", "tundra", "umber", "valley", "willow", "xenon", "yarrow", "zephyr"),
)
SEED = 17  # of the order of words: no two long ones are alike


def probe_rows(model: RewardModel, longest: int | None = None) -> tuple[Row, ...]:
    """Returns about twenty rows: conversations as the model reads them, and as engines may.

    None has more than `longest` tokens, or than the model takes. Raises BadOption for a model
    whose sequences are no plain ids.
    """
    if isinstance(model.family, DPO | Polar):
        raise BadOption(f"{model.name}: no engine serves a model of the family {model.family.name}")
    most = min(model.max_length, longest or model.max_length)
    rows: dict[tuple[int, ...], Row] = {}
    for talk in _conversations(model, most):
        if accepts(model, talk):
            row = _row(model, talk)
            if row.length <= most and max(map(max, row.ids.values())) < model.network.vocab_size:
                rows.setdefault(tuple(row.ids[RIGHT.text]), row)
    return tuple(rows.values())


def expect_right(model: RewardModel, rows: Sequence[Row]) -> Expected:
    """Returns the rewards of rows as the model gives them."""
    rewards = _compute(model, model.network, rows, [RIGHT])
    return Expected(tuple(rows), model.dtype_name, {model.dtype_name: {RIGHT: rewards}})


def expect(model: RewardModel, rows: Sequence[Row], told: Iterable[int] = ()) -> Expected:
    """Returns the rewards of rows under every mistake, in the model's dtype.

    `told` are lengths in tokens that an engine seems to cut to.
    """
    mistakes = [RIGHT, *_of_text(rows), *cuts_of(rows, told), *_of_state(model.network, rows)]
    found = _by_mistake(_compute(model, model.network, rows, mistakes), mistakes)
    return Expected(tuple(rows), model.dtype_name, {model.dtype_name: found})


def in_other_dtypes(model: RewardModel, expected: Expected) -> Expected:
    """Returns the same in the other dtypes that an engine may compute in, too.

    One that does not fit into memory, or gives rewards that are not finite, is left out.
    """
    rows, mistakes = expected.rows, list(expected.rewards[expected.dtype])
    probe = Probe(model, [_tokens(row.ids[RIGHT.text]) for row in rows], 0, [])
    others = {}
    for name in PRECISIONS:
        if name not in expected.rewards:
            dtype = getattr(torch, name)
            found = rewards_beside(probe, dtype, partial(_in_dtype, dtype, rows, mistakes))
            if not isinstance(found, str):
                others[name] = _by_mistake(found, mistakes)
    return replace(expected, rewards={**expected.rewards, **others})


def _by_mistake(
    rewards: Sequence[float], mistakes: Sequence[Mistake]
) -> dict[Mistake, list[float]]:
    """Returns the rewards of all rows under each mistake, of one list in which they follow."""
    count = len(rewards) // len(mistakes)
    return {
        mistake: list(rewards[at * count : (at + 1) * count]) for at, mistake in enumerate(mistakes)
    }


def _conversations(model: RewardModel, longest: int) -> list[Conversation]:
    """Returns conversations with edges that data has, and long ones of up to `longest` tokens."""
    tokenizer = model.tokenizer
    specials = [tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token]
    answers = (
        "",
        "7",
        "def twice(x):\n    return 2 * x\n",
        "naïve café 你好 🎉 العربية",
        f"So {' '.join(filter(None, specials))} it is.",
        "I cannot help with that.",
        "Quartz is the commonest, then feldspar.\n\n- quartz\n- feldspar",
    )
    talks: list[Conversation] = [ONE_TURN, WITH_SYSTEM, SEVERAL_TURNS]
    talks += [(WITH_SYSTEM[0], *SEVERAL_TURNS)]
    talks += [(ONE_TURN[0], Message("assistant", answer)) for answer in answers]
    per_word = len(model.read([_long(100)])[0]) / 100
    counts = [round(length / per_word) for length in LENGTHS if length <= longest]
    return [*talks, *map(_long, counts)]


def _long(words: int) -> Conversation:
    """Returns a conversation of about so many words, half of them the answer's."""
    order = random.Random(SEED + words)
    asked, said = (" ".join(order.choices(WORDS, k=max(1, words // 2))) for _ in range(2))
    return (Message("user", f"Go on: {asked}"), Message("assistant", f"{said.capitalize()}."))


def _row(model: RewardModel, talk: Conversation) -> Row:
    (given,) = model._with_system([talk])
    text = render(model.tokenizer, given, 0)
    right = model.read([talk])[0]
    others = {name: ids for name, ids in _readings(model, given, right) if ids and ids != right}
    return Row(given, text, {RIGHT.text: right, **others})


def _readings(
    model: RewardModel, talk: Conversation, right: list[int]
) -> Iterator[tuple[str, list[int]]]:
    """Yields what an engine may read in the place of `right`, by the name of the mistake."""
    tokenizer, own = model.tokenizer, model.specials.of_tokenizer
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    before = list(own.before) or ([] if bos is None else [bos])
    after = list(own.after) or ([] if eos is None else [eos])
    if own.after and own.before:
        yield SPECIALS_DOUBLED, [*before, *right, *after]
        if right[: len(before)] == before and right[-len(after) :] == after:
            yield SPECIALS_MISSING, right[len(before) : -len(after)]
    elif before:
        yield BOS_DOUBLED, [*before, *right]
        if right[: len(before)] == before:
            yield BOS_MISSING, right[len(before) :]
    if after:
        yield END_APPENDED, [*right, *after]
    yield LAST_MISSING, right[:-1]
    prompted = render(tokenizer, talk, 0, add_generation_prompt=True)
    yield PROMPT_APPENDED, model.specials.encode([prompted])[0]
    template = model.family.template(tokenizer)
    if ASKS in template:  # of two macros of one name the later counts, which is today's
        dated = render(tokenizer, talk, 0, template=Day(date.today(), "today").fixed_in(template))
        yield TODAY, model.specials.encode([dated])[0]


def _of_text(rows: Sequence[Row]) -> list[Mistake]:
    """Returns the mistakes of text that change any row."""
    return [Mistake(name) for name in dict.fromkeys(name for row in rows for name in row.ids)][1:]


def _of_state(network: Network, rows: Sequence[Row]) -> list[Mistake]:
    """Returns the mistakes of states; a backbone that pools for itself shows none."""
    if network.head is None:
        return []
    ids = [_tokens(row.ids[RIGHT.text]) for row in rows]
    places = {
        rule: [scored_place(one, network.pool._replace(rule=rule)) for one in ids] for rule in POOLS
    }
    others = [
        OTHER_RULE.format(rule) for rule in POOLS if places[rule] != places[network.pool.rule]
    ]
    return [Mistake(state=name) for name in (NORMALISED, MEAN_POOLED, *others)]


def _in_dtype(
    dtype: torch.dtype,
    rows: Sequence[Row],
    mistakes: Sequence[Mistake],
    model: RewardModel,
    _: Sequence[Tokens],
) -> list[float] | str:
    network = make_network(model.family, model.device, dtype)
    network.pool = model.network.pool
    try:
        return _compute(model, network, rows, mistakes)
    except BadReward as error:
        return first_line(error)


def _compute(
    model: RewardModel, network: Network, rows: Sequence[Row], mistakes: Sequence[Mistake]
) -> list[float]:
    """Returns the rewards of all rows under the first mistake, then under the second, …"""
    read = [mistake for mistake in mistakes if not mistake.state]
    ids = [_tokens(mistake.reads(row)) for mistake in read for row in rows]
    rewards = score_sequences(network, ids, model.engine)
    states = [mistake.state for mistake in mistakes if mistake.state]
    if not states:
        return rewards
    by_row = [
        _of_states(network, _tokens(row.ids[RIGHT.text]), states, right)
        for row, right in zip(rows, rewards, strict=False)
    ]
    return [*rewards, *(reward for of_state in zip(*by_row, strict=True) for reward in of_state)]


@one_name_for_full()
@without_cudnn_attention()
@torch.inference_mode()
def _of_states(network: Network, ids: Tokens, states: Sequence[str], right: float) -> list[float]:
    """Returns the rewards that a head gives for other states of a sequence than the scored one.

    By a rule that finds the scored token it is `right`, computed the other way.
    """
    assert network.head is not None
    row = torch.from_numpy(ids).long().to(home(network.backbone))[None]  # (1, L)
    hidden = network.backbone(input_ids=row, use_cache=False).last_hidden_state[0]  # (L, H)
    precise = hidden.to(torch.promote_types(hidden.dtype, torch.float32))

    def at(place: int) -> Tensor:
        return pick_states(network, precise, torch.tensor([place]), torch.tensor([len(ids) - 1]))[0]

    ours = scored_place(ids, network.pool)
    found = {NORMALISED: normalize(at(ours), dim=0), MEAN_POOLED: precise.mean(0)}
    same = set()
    for rule in POOLS:
        name, place = OTHER_RULE.format(rule), scored_place(ids, network.pool._replace(rule=rule))
        found[name] = at(place)
        same |= {name} if place == ours else set()
    head = network.head(torch.stack([found[state] for state in states]))  # (S, 1 + K)
    rewards = head.reshape(len(states), -1)[:, 0].tolist()
    return [right if s in same else reward for s, reward in zip(states, rewards, strict=True)]


def _tokens(ids: Sequence[int]) -> Tokens:
    return np.asarray(ids, np.int32)
