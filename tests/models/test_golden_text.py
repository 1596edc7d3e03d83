"""Conversations become the text, the ids and the score that their authors' code gives.

The rows are made by scripts/golden with code that nobody here wrote; its README says how.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from checkpoints import TOLERANCE
from sentencepiece import SentencePieceProcessor

import rmeval
from rmeval.models.pairwise import Shown
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import load_tokenizer
from rmeval.records import Message

ROOT = Path(__file__).parents[1] / "golden_text"
PAIRS = ("pair-pm", "pairrm")
OTHERS = ("dpo", *PAIRS)
NAMES = sorted(folder.name for folder in ROOT.iterdir() if (folder / "config.json").exists())
REWARDS = [name for name in NAMES if name not in OTHERS]
CUT = {  # texts that 4.57.6's fast class reads otherwise than sentencepiece, which rmeval follows
    ("deberta", "marks"),
    ("deberta", "ends"),
    ("unigram", "marks"),
}
UNKNOWING = "deberta"  # its tokenizer of 300 entries reads the checks' texts as unknown throughout
FAMILIES = {
    "beaver": "beaver",
    "beaver-card": "beaver",
    "eurus": "ultrarm",
    "grm-sftreg": "grm",
    "inf-orm": "inf-orm",
    "nemotron": "nemotron",
    "starling": "starling",
    "ultrarm": "ultrarm",
    "urm": "urm",
}


def rows_of(name):
    return [json.loads(line) for line in (ROOT / name / "cases.jsonl").read_text().splitlines()]


def recipe_of(name):
    return json.loads((ROOT / name / "recipe.json").read_text())


@cache
def load(name, specials=None):
    """A template without BOS does not say whether there was one in training: the recipe does."""
    specials = specials or recipe_of(name)["specials"]
    return rmeval.load_model(
        str(ROOT / name),
        dtype="float32",
        device="cpu",
        specials=specials,
        checks=name != UNKNOWING,
    )


@cache
def load_pairwise(name):
    return rmeval.load_pairwise_model(str(ROOT / name), dtype="float32", device="cpu")


def shown(row):
    prompt = tuple(Message(**message) for message in row["messages"])
    return Shown(prompt, row["first"], row["second"])


def test_every_family_and_every_kind_of_tokenizer_has_cases():
    assert len(REWARDS) == 46
    assert {*REWARDS, *OTHERS} == {path.parent.name for path in ROOT.glob("*/cases.jsonl")}
    for name in [*REWARDS, *OTHERS]:
        assert len(rows_of(name)) >= 12
        assert recipe_of(name)["source"]


@pytest.mark.parametrize("name", REWARDS)
def test_the_family_is_found(name):
    assert load(name).family.name == FAMILIES.get(name, "classifier")


@pytest.mark.parametrize("name", REWARDS)
def test_conversations_become_the_authors_text(name):
    """Some recipes take BOS off the text, for the tokenizer to add it."""
    tokenizer = load(name).tokenizer
    for row in rows_of(name):
        messages = tuple(Message(**message) for message in row["messages"])
        text = render(tokenizer, messages, 0)
        assert row["text"] in (text, text.removeprefix(tokenizer.bos_token or ""))


@pytest.mark.parametrize("name", REWARDS)
def test_conversations_become_the_authors_ids(name):
    model = load(name)
    rows = [row for row in rows_of(name) if (name, row["name"]) not in CUT]
    ids = {row["name"]: model.encode(row["messages"]) for row in rows}
    assert ids == {row["name"]: row["ids"] for row in rows}


@pytest.mark.parametrize("name", REWARDS)
def test_the_authors_ids_get_their_scores(name):
    rows = rows_of(name)
    scores = load(name).score_tokens([row["ids"] for row in rows])
    assert scores == pytest.approx([row["score"] for row in rows], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("name", REWARDS)
def test_conversations_get_the_authors_scores(name):
    rows = [row for row in rows_of(name) if (name, row["name"]) not in CUT]
    scores = load(name).score([row["messages"] for row in rows])
    assert scores == pytest.approx([row["score"] for row in rows], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("policy", ["template", "tokenizer", "once"])
@pytest.mark.parametrize(
    "name", [name for name in REWARDS if any("under" in row for row in rows_of(name))]
)
def test_a_policy_that_is_asked_for_gives_its_ids(name, policy):
    model = load(name, policy)
    rows = [row for row in rows_of(name) if (name, row["name"]) not in CUT]
    wanted = {row["name"]: row.get("under", {}).get(policy, row["ids"]) for row in rows}
    assert {row["name"]: model.encode(row["messages"]) for row in rows} == wanted


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_become_the_authors_ids(name):
    model, rows = load_pairwise(name), rows_of(name)
    fitted = model.family.encode_pairs(model.tokenizer, [shown(row) for row in rows], 2048)
    assert [list(item.ids) for item in fitted] == [row["ids"] for row in rows]


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_get_the_authors_probabilities(name):
    model, rows = load_pairwise(name), rows_of(name)
    by_ids = model.compare_tokens([row["ids"] for row in rows])
    assert by_ids == pytest.approx([row["score"] for row in rows], abs=TOLERANCE, rel=0)
    for row, swapped in zip(rows[::2], rows[1::2], strict=True):
        mean = (row["score"] + 1 - swapped["score"]) / 2
        found = model.compare(row["messages"], row["first"], row["second"])
        assert found == pytest.approx(mean, abs=TOLERANCE, rel=0)


@cache
def load_dpo():
    policy, reference = (str(ROOT / "dpo" / part) for part in ("policy", "reference"))
    return rmeval.load_model(policy, reference=reference, dtype="float32", device="cpu")


def test_a_policy_and_its_reference_give_rewardbench_log_probabilities():
    model, rows = load_dpo(), rows_of("dpo")
    assert [model.encode(row["messages"]) for row in rows] == [row["ids"] for row in rows]
    wanted = [row["score"] for row in rows]
    scores = model.score([row["messages"] for row in rows])
    assert scores == pytest.approx(wanted, abs=5e-4, rel=0)  # theirs are float32 sums near 1000
    split = [(row["ids"][:n], row["ids"][n:]) for row in rows for n in [row["prompt_tokens"]]]
    assert model.score_tokens(split) == pytest.approx(wanted, abs=5e-4, rel=0)


def test_rewardbench_own_tokens_of_a_policy_give_its_scores():
    theirs = [row["rewardbench"] for row in rows_of("dpo")]
    scores = load_dpo().score_tokens([(row["prompt_ids"], row["response_ids"]) for row in theirs])
    assert scores == pytest.approx([row["score"] for row in theirs], abs=5e-4, rel=0)


def test_real_conversations_with_llama_3s_tokenizer(shared, tmp_path):
    needed = [shared / "tokenizers" / "llama3", shared / "golden-families" / "qrm"]
    if not all(folder.is_dir() for folder in needed):
        pytest.skip("needs tokenizers/llama3 and golden-families/qrm, not in ../shared/data")
    for folder in needed:
        copytree(folder, tmp_path / "qrm", dirs_exist_ok=True)
    rows = [json.loads(row) for row in (ROOT / "llama3-real.jsonl").read_text().splitlines()]
    talks = [_conversation(shared, row["file"], row["row"]) for row in rows]
    model = rmeval.load_model(str(tmp_path / "qrm"), dtype="float32", device="cpu")
    ids = [model.encode(talk) for talk in talks]
    assert [len(row) for row in ids] == [row["tokens"] for row in rows]
    hashes = [sha256(np.array(row, "<u4").tobytes()).hexdigest()[:32] for row in ids]
    assert hashes == [row["sha256"] for row in rows]
    wanted = [row["score"] for row in rows]
    assert model.score(talks) == pytest.approx(wanted, abs=TOLERANCE, rel=0)


@cache
def _benchmark(path):
    return path.read_text(encoding="utf-8").split("\n")


def _conversation(shared, file, index):
    row = json.loads(_benchmark(shared / "benchmarks" / f"{file}.jsonl")[index])
    return [*row["prompt"], {"role": "assistant", "content": row["chosen"][0]}]


def test_real_texts_with_internlm2s_tokenizer_are_sentencepieces(shared):
    folder = shared / "models" / "internlm2-1_8b-reward"
    if not folder.is_dir():
        pytest.skip("needs models/internlm2-1_8b-reward, not in ../shared/data")
    processor = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    rows = [json.loads(row) for row in (ROOT / "llama3-real.jsonl").read_text().splitlines()]
    texts = [
        message["content"]
        for row in rows
        for message in _conversation(shared, row["file"], row["row"])
    ]
    ours = load_tokenizer(folder)(texts, add_special_tokens=False)["input_ids"]
    assert ours == processor.encode(texts)


@pytest.mark.parametrize("name", ["ultrarm", "eurus", "beaver"])
def test_a_template_that_ships_brings_its_policy(name):
    """The tokenizer adds <s>, so that the first word keeps the mark of a first word."""
    template = {"eurus": "eurus-rm"}.get(name, name)
    model = rmeval.load_model(str(ROOT / name), device="cpu", chat_template=template)
    assert {row["name"]: model.encode(row["messages"]) for row in rows_of(name)} == {
        row["name"]: row["ids"] for row in rows_of(name)
    }
    assert model.provenance()["specials"] == {
        "policy": "bos",
        "from": f"rmeval's {template}",
        "bos": 1,
    }


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("grm-sftreg", "model"),
        ("urm", "model"),
        ("starling", "model"),
        ("grm-distill", "GRM-llama3-8B-distill"),
        ("skywork-v0.1", "Skywork-Reward-Llama-3.1-8B"),
    ],
)
def test_family_or_name_bring_the_authors_policy(tmp_path, name, called):
    folder = copytree(ROOT / name, tmp_path / called)
    model = rmeval.load_model(str(folder), device="cpu")
    assert {row["name"]: model.encode(row["messages"]) for row in rows_of(name)} == {
        row["name"]: row["ids"] for row in rows_of(name)
    }
