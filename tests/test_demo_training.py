"""How the demonstration model is made, on little, and that no pair of it is the benchmark's."""

import gzip
import hashlib
import json
import random
import re
import sys
from pathlib import Path

import pytest
import torch

import rmeval

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import train_demo_model

from demo_model import data, functions, overlap
from demo_model.embeddings import from_neighbours
from demo_model.pair import Pair, held_out
from demo_model.pairs import MAKERS, make_pairs

LETTERS = "abcdefghiklmnoprstuvw"
WORDS = ["".join(random.Random(n).choices(LETTERS, k=7)) for n in range(1000)]
ACTS = ("steal the", "hack a", "poison my", "threaten some")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both public files on a small scale, and their sums in place of the real ones."""
    rng = random.Random(0)

    def text() -> str:
        return " ".join(rng.sample(WORDS, 8)) + "."

    talks = [
        f"\n\nHuman: How do I {ACTS[n % 4]} {text()}\n\nAssistant: {text()} {text()}"
        for n in range(200)
    ]
    sums = [
        {
            "question": f"{text()} What is {n} + {n}?",
            "answer": f"{text()} {n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}",
        }
        for n in range(60)
    ]
    hh = gzip.compress("".join(json.dumps({"chosen": talk}) + "\n" for talk in talks).encode())
    gsm8k = "".join(json.dumps(row) + "\n" for row in sums).encode()
    for name, raw in (("HH", hh), ("GSM8K", gsm8k)):
        source = getattr(data, name)
        file = tmp_path / source.repository.rsplit("/", 1)[1] / source.path
        file.parent.mkdir(parents=True)
        file.write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        monkeypatch.setattr(data, name, source._replace(sha256=digest))
    return tmp_path


def test_a_model_is_trained_and_its_export_scores_alike(
    sources: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained, build = [], train_demo_model.TinyRewardModel
    monkeypatch.setattr(
        train_demo_model,
        "TinyRewardModel",
        lambda config: trained.append(build(config)) or trained[0],
    )
    out = tmp_path / "model"
    out.mkdir()
    (out / "old").touch()
    train_demo_model.main(["--pairs=12", "--data", str(sources), "--out", str(out)])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card in capsys.readouterr().out
    assert re.search(r"seed 0: \d+ pairs, each seen once,\n\d+ updates", card)
    assert re.search(r"^\| all \| 11 \| \d+\.\d \|", card, re.M)
    assert not (out / "old").exists()
    model = rmeval.load_model(out, device="cpu")
    assert model.family.name == "internlm2"
    ids = [[1, 40, 50, 4096], [1, *range(300, 3900, 40), 4096]]
    own = [trained[0](torch.tensor([row]), torch.tensor([len(row) - 1])).item() for row in ids]
    assert model.score_tokens(ids) == pytest.approx(own, abs=3e-3)  # written in half precision
    assert abs(own[0] - own[1]) > 6e-3


def test_a_file_that_is_not_the_pinned_one_is_refused(sources: Path) -> None:
    file = next(sources.rglob("train.jsonl"))
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(
        ValueError, match=r"train\.jsonl is not https://github\.com/openai/.* at 31"
    ):
        data.read_material(sources)


def test_pairs_are_the_same_for_a_seed_and_of_one_side_each(sources: Path) -> None:
    material = data.read_material(sources)
    pairs = make_pairs(20, "0", material, test=False)
    assert pairs == make_pairs(20, "0", material, test=False)
    assert pairs != make_pairs(20, "1", material, test=False)
    assert not any(held_out(pair.prompt) for pair in pairs)
    assert all(held_out(pair.prompt) for pair in make_pairs(5, "0", material, test=True))


@pytest.mark.parametrize("kind", MAKERS)
def test_length_does_not_say_which_response_is_chosen(kind: str, sources: Path) -> None:
    pairs = make_pairs(40, "0", data.read_material(sources), test=False)
    lengths = [len(p.chosen) - len(p.rejected) for p in pairs if p.kind == kind]
    longer, shorter = (sum(sign * n > 0 for n in lengths) for sign in (1, -1))
    equal = len(lengths) - longer - shorter
    assert abs(longer - shorter) <= equal + 1


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        (functions.no_return, "return "),
        (functions.cut_short, "return sum + last"),
        (functions.other_sign, " + "),
    ],
)
def test_a_fault_is_in_the_function(fault: functions.Fault, missing: str) -> None:
    right = "def add(sum, last):\n    return sum + last"
    assert missing in right
    assert missing not in fault(random.Random(0), right, ["sum", "last"], WORDS)


def test_a_name_that_nothing_defines_takes_the_place_of_one() -> None:
    right = "def add(sum, last):\n    return sum + last"
    wrong = functions.other_name(random.Random(0), right, ["sum", "last"], ["other"])
    assert wrong in (
        right.replace("return sum", "return other"),
        right.replace("+ last", "+ other"),
    )


def test_tokens_with_the_same_neighbours_begin_alike() -> None:
    texts = [[1, 5, 2], [1, 6, 2], [3, 7, 4], [3, 8, 4]] * 5
    found = from_neighbours(texts, 10, 4)
    alike = torch.nn.functional.cosine_similarity
    assert alike(found[5], found[6], dim=0) > 0.9 > alike(found[5], found[7], dim=0)
    assert not found[9].any()
    assert found[5].pow(2).mean() == pytest.approx(1.0)


def test_no_template_says_what_a_row_of_the_benchmark_says(sources: Path) -> None:
    pairs = make_pairs(400, "0", data.read_material(sources), test=False)
    said = overlap.hold_apart(pairs)
    assert said.startswith("no 8 words in a row of its 368 rows stand in a training pair")


def test_no_public_pair_says_what_a_row_of_the_benchmark_says(shared: Path) -> None:
    found = rmeval.overlap(
        [shared / "benchmarks" / f"{name}.jsonl" for name in ("hh_rlhf_harmless", "gsm8k_pairs")],
        "demo",
        least=0.3,  # "Where do you see yourself in five years?" stands everywhere
    )
    assert not found.touched("8 words")


ROW = rmeval.load_benchmark("demo").preferences[9]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (Pair("", ROW.prompt[0].content, "a", "b"), "row 9 shares"),
        (Pair("", "a b", "c d", "So: " + str(ROW.responses[1])), "row 9 shares 13 words, 8 words"),
        (Pair("", " ".join(ROW.prompt[0].content.split()[::-1]), "a", "b"), "too much like"),
    ],
)
def test_a_row_of_the_benchmark_in_training_is_found(pair: Pair, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlap.hold_apart([Pair("", "something else", "a", "b"), pair])
