"""DPO rewards: against whole logits in float64, alone and together, for several architectures."""

import json
import random

import pytest
import torch
from checkpoints import read_tensors, write_tensors
from language_models import (
    HEADS_OF_8,
    VOCABULARY,
    load,
    log_probability,
    write_language_model,
    write_pair,
)

from rmeval.engine.packable import relative_difference
from rmeval.engine.plan import parent_places
from rmeval.errors import BadData, BadOption
from rmeval.models.dpo import language_model
from rmeval.models.dpo.language_model import CausalModel
from rmeval.models.dpo.network import sum_along_paths

POLICIES = {
    "llama": {},
    "llama, tied": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": 8},
    "qwen2": {},  # biases on q, k, v
    "gemma2": {**HEADS_OF_8, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    "gemma3_text": HEADS_OF_8,
    "granite": {"logits_scaling": 3.0},
    "cohere": {"logit_scale": 0.3},
}
PADDED = {"bloom": {}}  # whose attention is its own
TOLERANCE = 1e-4


def draw_pairs():
    """Prompts that are prefixes of others, and texts that are now a prompt's, now a response's."""
    draw = random.Random(0)
    text = [draw.randrange(VOCABULARY) for _ in range(24)]
    pairs = [(text[:cut], text[cut:end]) for cut, end in ((1, 2), (7, 12), (9, 12), (9, 24))]
    for prompt in (text[:7], text[:8], text[:3], [1], [2, 2]):
        pairs += [(prompt, [draw.randrange(VOCABULARY) for _ in range(n)]) for n in (1, 4, 20)]
    return [*pairs, (text[:7], [*pairs[4][1], 5]), (text[:7], [])]


PAIRS = draw_pairs()


def near(expected, tolerance=TOLERANCE):
    return pytest.approx(expected, abs=tolerance, rel=0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def expected(pair):
    """The log probabilities under the policy and under its reference."""
    return [[log_probability(model, *tokens) for tokens in PAIRS] for model in pair]


@pytest.mark.parametrize("engine", ["auto", "padded"])
@pytest.mark.parametrize("name", [*POLICIES, *PADDED])
def test_rewards_are_those_of_whole_logits_alone_and_together(tmp_path, name, engine):
    changes = {**POLICIES, **PADDED}[name]
    policy, reference = write_pair(tmp_path, name.split(",")[0], **changes)
    worked = [log_probability(policy, *p) - log_probability(reference, *p) for p in PAIRS]
    assert max(worked) - min(worked) > 3
    for batch_tokens in (1, 40, 10**6):
        model = load(policy, reference, engine=engine, batch_tokens=batch_tokens)
        assert model.engine.packed == (engine == "auto" and name in POLICIES)
        assert model.score_tokens(PAIRS) == near(worked)


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_golden_rewards_are_those_of_the_reference_class(shared, engine):
    folder = shared / "golden-families" / "dpo"
    if not folder.is_dir():
        pytest.skip("needs dpo, which is not in ../shared/data")
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    pairs = [(row["prompt_ids"], row["response_ids"]) for row in rows]
    for batch_tokens in (1, 700, 10**6):
        options = {"engine": engine, "batch_tokens": batch_tokens}
        model = load(folder / "policy", folder / "reference", **options)
        found = model.score_tokens(pairs)
        assert found == near([row["score"] for row in rows], 5e-4)
        assert found == near([row["score_float64"] for row in rows], 1e-4)


def test_in_float64_the_rewards_are_exact(pair, expected):
    model = load(*pair, dtype="float64")
    worked = [p - r for p, r in zip(*expected, strict=True)]
    assert model.score_tokens(PAIRS) == near(worked, 1e-5)  # rotary angles stay float32


def test_without_a_reference_the_policy_stands_alone(pair, expected):
    assert load(pair[0]).score_tokens(PAIRS) == near(expected[0])


def test_per_token_divides_by_the_tokens_of_the_response(pair, expected):
    model = load(*pair, per_token=True)
    some = [index for index, (_, response) in enumerate(PAIRS) if response]
    means = [(expected[0][i] - expected[1][i]) / len(PAIRS[i][1]) for i in some]
    assert model.score_tokens([PAIRS[i] for i in some]) == near(means)


def test_a_response_of_no_tokens_is_an_empty_sum_and_has_no_mean(pair):
    assert load(*pair).score_tokens([([3, 4], [])]) == [0]
    with pytest.raises(BadData, match="pair 1: the response has no tokens to divide by"):
        load(*pair, per_token=True).score_tokens([([3], [4]), ([3, 4], [])])


def test_where_the_prompt_ends_is_part_of_what_is_scored(pair):
    """The same tokens with another boundary are not the same sequence, in any batch."""
    model = load(*pair)
    text = [1, 2, 3, 4, 5, 6]
    whole, half = model.score_tokens([(text[:1], text[1:]), (text[:3], text[3:])])
    begin = model.score_tokens([(text[:1], text[1:3])])[0]
    assert whole - half == near(begin)
    assert abs(begin) > 0.1


def test_only_the_logits_of_response_tokens_are_made(pair, monkeypatch):
    """Of two models, and never more at once than the bytes allow: here, three tokens'."""
    model, made, rows = load(*pair, checks=False), [], CausalModel._logits

    def counted(self, states):
        logits = rows(self, states)
        made.append(logits.shape)
        return logits

    monkeypatch.setattr(CausalModel, "_logits", counted)
    monkeypatch.setattr(language_model, "LOGIT_BYTES", 3 * 4 * VOCABULARY + 5)
    text = [index % VOCABULARY for index in range(200)]
    before = model.score_tokens([(text[:193], text[193:])])
    assert made == 2 * [(1, 3, VOCABULARY), (1, 3, VOCABULARY), (1, 1, VOCABULARY)]
    monkeypatch.undo()
    assert model.score_tokens([(text[:193], text[193:])]) == near(before)


def test_a_shared_beginning_of_two_responses_is_scored_once(pair, monkeypatch):
    model, made, rows = load(*pair, engine="packed", checks=False), [], CausalModel._logits
    monkeypatch.setattr(
        CausalModel, "_logits", lambda self, s: made.append(s.shape[1]) or rows(self, s)
    )
    model.score_tokens([([1, 2], [3, 4, 5]), ([1, 2], [3, 4, 6]), ([1, 2, 3], [4])])
    assert made == [5, 5]


def test_tied_weights_are_held_once_and_counted_once(tmp_path):
    folder = write_language_model(tmp_path, 1, tie_word_embeddings=True)
    assert "lm_head.weight" not in read_tensors(folder)
    for weights in (True, False):
        network = load(folder, weights=weights).network
        counted = sum(weight.numel() for weight in network.parameters())
        assert counted == sum(weight.numel() for weight in read_tensors(folder).values())


def test_the_difference_to_its_own_logits_is_measured(pair, monkeypatch):
    model = load(pair[0]).network.causal_models[0]
    assert model.difference_to_own_logits() < 1e-6
    logits = CausalModel._logits
    monkeypatch.setattr(CausalModel, "_logits", lambda self, states: 2 * logits(self, states))
    assert model.difference_to_own_logits() == pytest.approx(1)
    assert model.rest.model is not model.body  # the stand-in is where it was


def test_a_reference_of_another_size_and_attention_serves(tmp_path):
    policy = write_language_model(tmp_path / "policy", 1)
    changes = {**POLICIES["gemma2"], "num_hidden_layers": 3, "max_position_embeddings": 64}
    reference = write_language_model(tmp_path / "reference", 2, "gemma2", **changes)
    worked = [log_probability(policy, *p) - log_probability(reference, *p) for p in PAIRS]
    for engine in ("packed", "padded"):
        model = load(policy, reference, engine=engine)
        assert model.score_tokens(PAIRS) == near(worked)
        assert model.max_length == 64


def test_one_that_cannot_be_packed_is_enough_for_the_padded_path(tmp_path):
    policy = write_language_model(tmp_path / "policy", 1)
    reference = write_language_model(tmp_path / "reference", 2, "bloom")
    model = load(policy, reference)
    assert not model.engine.packed
    assert "attention was called 0 times" in model.engine.reason
    with pytest.raises(BadOption, match="cannot be packed"):
        load(policy, reference, engine="packed")


def test_in_a_pack_the_parent_is_the_token_before_on_the_same_path():
    """A sequence of four, one that leaves it after two, one that goes on from that."""
    assert parent_places([0, 1, 2, 3, 2, 3, 4]) == [-1, 0, 1, 2, 1, 4, 5]
    assert parent_places([0, 1, 0, 1, 2, 1]) == [-1, 0, -1, 2, 3, 2]


def test_sums_follow_the_parents_and_never_an_unused_place():
    values = torch.tensor([[1.0, 10.0, torch.nan, 1000.0, 7.0]], dtype=torch.float64)[..., None]
    sums = sum_along_paths(values, torch.tensor([[-1, 0, 1, 1, 3]]))[0, :, 0].tolist()
    assert [sums[0], sums[1], sums[3], sums[4]] == [1, 11, 1011, 1018]


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}], ids=["", "tied"])
def test_a_policy_whose_row_for_padding_is_zero_scores_as_its_logits_say(tmp_path, changes):
    policy = write_language_model(tmp_path / "policy", 1, **changes)
    tensors = read_tensors(policy)
    tensors["model.embed_tokens.weight"][0] = 0  # as nn.Embedding makes that of pad_token_id
    write_tensors(policy, tensors)
    model = load(policy)
    expected = log_probability(policy, [5, 7, 9], [11, 13])
    assert model.score_tokens([([5, 7, 9], [11, 13])]) == pytest.approx([expected], abs=1e-4)


def test_a_difference_of_zeros_is_none_and_nan_stays_nan():
    zero, one = torch.zeros(1, 4), torch.ones(1, 4)
    assert relative_difference(zero, zero) == 0
    assert relative_difference(torch.cat([zero, one]), torch.cat([zero, 2 * one])) == 0.5
    assert relative_difference(one, zero) == float("inf")
    assert relative_difference(one * float("nan"), one) != 0
