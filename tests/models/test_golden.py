"""The authors' scores, computed with their own code, against ours."""

import json
import random

import pytest
from checkpoints import TOLERANCE, golden_cases, load_golden
from conftest import GOLDEN

import rmeval

LAYOUTS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
CLASSIFIERS = ["gemma2", "gemma3-text", "mistral", "phi3", "qwen2", "qwen3"]
EXACT = 2e-5  # what a score of the references may differ
REFERENCES = {
    **{f"{architecture}-seqcls": "classifier" for architecture in CLASSIFIERS},
    "armorm": "armorm",
    "beaver-cost": "beaver",
    "beaver-reward": "beaver",
    "nemotron": "nemotron",
    "qrm": "qrm",
    "starling-34b": "starling",
    "ultrarm": "ultrarm",
}


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


def test_every_layout_has_cases_to_agree_with():
    named_on_cards = ["grm-linear", "grm-mlp", "inform", "internlm2", "seqcls"]
    one_linear_head = ["beaver-cost", "nemotron", "starling", "ultrarm"]
    assert sorted(named_on_cards + one_linear_head) == LAYOUTS


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_scores_are_the_authors_whatever_the_batching(layout, engine):
    ids, scores = golden_cases(GOLDEN / layout)
    assert len(scores) >= 32
    for batch_tokens in (1, 700, 4096, 10**9):  # alone, a few, many, all in one batch
        model = load(GOLDEN / layout, batch_tokens=batch_tokens, engine=engine)
        assert model.score_tokens(ids) == pytest.approx(scores, abs=TOLERANCE, rel=0)


def test_scores_are_the_authors_one_call_at_a_time(layout):
    model = load_golden(layout)
    ids, scores = golden_cases(GOLDEN / layout)
    alone = [model.score_tokens([sequence])[0] for sequence in ids]
    assert alone == pytest.approx(scores, abs=TOLERANCE, rel=0)


def test_shuffled_input_gives_shuffled_scores(layout):
    model = load_golden(layout)
    ids, scores = golden_cases(GOLDEN / layout)
    order = list(range(len(ids)))
    random.Random(7).shuffle(order)
    shuffled = model.score_tokens([ids[index] for index in order])
    assert shuffled == pytest.approx([scores[index] for index in order], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("end", [0, 2], ids=["pad or unknown", "pad and eos"])
def test_a_pad_or_end_id_inside_the_text_is_a_token_like_any_other(layout, end):
    model = load_golden(layout)
    ids, _ = golden_cases(GOLDEN / layout)
    sequence = [*ids[5][:-1], end, end, ids[5][-1]]
    longer = ids[9]
    alone = model.score_tokens([sequence])[0]
    assert model.score_tokens([longer, sequence])[1] == pytest.approx(alone, abs=TOLERANCE, rel=0)
    without = model.score_tokens([ids[5]])[0]
    assert abs(alone - without) > 100 * TOLERANCE  # the two tokens were read


def test_a_changed_neighbour_moves_no_other_score(layout):
    model = load_golden(layout)
    ids, _ = golden_cases(GOLDEN / layout)
    before = model.score_tokens(ids)
    changed = [[3] * 600 if index == 4 else sequence for index, sequence in enumerate(ids)]
    after = model.score_tokens(changed)
    assert abs(after[4] - before[4]) > 0.01
    del before[4], after[4]
    assert after == pytest.approx(before, abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize("name", REFERENCES)
def test_families_give_the_reference_scores(shared, name, engine):
    folder = shared / "golden-families" / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder.name}, which is not in ../shared/data")
    ids, scores = golden_cases(folder)
    model = load(folder, engine=engine)
    assert model.family.name == REFERENCES[name]
    assert model.score_tokens(ids) == pytest.approx(scores, abs=EXACT, rel=0)
    alone = [model.score_tokens([sequence])[0] for sequence in ids]
    assert alone == pytest.approx(scores, abs=EXACT, rel=0)


def test_real_conversations_become_the_recorded_text_ids_and_scores(shared):
    from rmeval.models.text.tokenizer import render
    from rmeval.records import Message

    folder = shared / "golden" / "internlm2-text"
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    assert len(rows) == 56
    model = load(folder)
    conversations = [row["conversation"] for row in rows]
    for row in rows:
        messages = tuple(Message(**message) for message in row["conversation"])
        assert render(model.tokenizer, messages, 0) == row["text"]
        assert model.encode(row["conversation"]) == row["input_ids"]
    scores = [row["score"] for row in rows]
    assert model.score(conversations) == pytest.approx(scores, abs=TOLERANCE, rel=0)
