"""`rmeval filter`: pairs that a model agrees with, and those that it does not."""

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Capture, count_batches, done, interrupt_after, refusal, small_model

import rmeval
from rmeval.cli import main

WORDS = ("tea", "a cup of tea", "no", "", "Grüße 世界", "yes yes yes", "because", "7", "never mind")
PAIRS: list[dict[str, Any]] = [
    {
        "id": n,
        "prompt": [{"role": "user", "content": f"question {n}"}],
        "chosen": [{"role": "assistant", "content": WORDS[n]}],
        "rejected": [{"role": "assistant", "content": WORDS[(n + 1) % 9] if n else WORDS[0]}],
        "margin": "old",
    }
    for n in range(9)
]


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Files:
    def __init__(self, folder: Path) -> None:
        self.model = small_model(folder / "model")
        self.input = write(folder / "pairs.jsonl", PAIRS)
        self.output, self.others = folder / "kept.jsonl", folder / "apart/others.jsonl"

    @property
    def command(self) -> tuple[object, ...]:
        files = ("--input", self.input, "--output", self.output, "--others", self.others)
        return ("filter", "--model", self.model, "--device", "cpu", *files)

    def margins(self) -> list[float]:
        model = rmeval.load_model(self.model, device="cpu")
        chosen, rejected = (
            model.score([[*pair["prompt"], *pair[side]] for pair in PAIRS])
            for side in ("chosen", "rejected")
        )
        return [a - b for a, b in zip(chosen, rejected, strict=True)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_kept_and_others_are_all_lines_in_order_with_their_fields(
    files: Files, capsys: Capture
) -> None:
    _, err = done(capsys, *files.command)
    kept, others = read(files.output), read(files.others)
    margins = files.margins()
    assert [line["id"] for line in kept] == [n for n in range(9) if margins[n] > 0]
    assert [line["id"] for line in others] == [n for n in range(9) if not margins[n] > 0]
    assert 0 < len(kept) < 9
    assert 0 in [line["id"] for line in others]  # equal texts are no agreement
    for line in (*kept, *others):
        assert line == {
            **PAIRS[line["id"]],
            "score_chosen": line["score_chosen"],
            "score_rejected": line["score_rejected"],
            "score_margin": line["score_chosen"] - line["score_rejected"],
        }
        assert line["score_margin"] == pytest.approx(margins[line["id"]], abs=1e-4)
    assert f"{len(kept)} of 9 pairs kept" in err.splitlines()
    names = {path.name for path in files.output.parent.iterdir()}
    assert names == {"apart", "kept.jsonl", "kept.jsonl.provenance.json", "model", "pairs.jsonl"}
    assert list(files.others.parent.iterdir()) == [files.others]


def test_a_least_margin(files: Files, capsys: Capture) -> None:
    margins = files.margins()
    least = sorted(margins)[4] - 1e-3
    done(capsys, *files.command, "--keep", f"margin>={least}")
    assert [line["id"] for line in read(files.output)] == [
        n for n in range(9) if margins[n] >= least
    ]
    done(capsys, *files.command, "--keep", "margin>=-1e9")
    assert len(read(files.output)) == 9
    assert read(files.others) == []
    done(capsys, *files.command, "--keep", "margin>=1e9")
    assert read(files.output) == []


@pytest.mark.parametrize(("share", "count"), [("100", 9), ("50", 4), ("33.4", 3), ("0.001", 1)])
def test_the_largest_margins(share: str, count: int, files: Files, capsys: Capture) -> None:
    done(capsys, *files.command, "--keep", f"top={share}%")
    margins = files.margins()
    best = sorted(range(9), key=lambda n: -margins[n])[:count]
    assert [line["id"] for line in read(files.output)] == sorted(best)
    assert len(read(files.others)) == 9 - count


def test_margins_equal_to_the_last_are_kept_too(files: Files, capsys: Capture) -> None:
    write(files.input, [PAIRS[1]] * 4)
    done(capsys, *files.command, "--keep", "top=25%")
    assert len(read(files.output)) == 4


@pytest.mark.parametrize(
    "rule",
    ["margin", "margin>0.5", "margin>=x", "margin>=1.2.3", "top=0%", "top=101%", "top=5", "agrees"],
)
def test_a_rule_that_is_none_is_refused_before_a_line_is_read(
    rule: str, files: Files, capsys: Capture
) -> None:
    files.input.unlink()
    message = refusal(capsys, *files.command, "--keep", rule)
    assert message == f"--keep {rule}: pass agree, 'margin>=X' (in quotes) or top=P%"


def test_pairs_that_rmeval_made_are_read_and_the_model_agrees_with_its_own(
    files: Files, tmp_path: Path, capsys: Capture
) -> None:
    model = ("--model", files.model, "--device", "cpu")
    lines = [{"prompt": f"q{n}", "responses": list(WORDS)} for n in range(3)]
    source, ranked = write(tmp_path / "in.jsonl", lines), tmp_path / "ranked.jsonl"
    done(capsys, "rank", *model, "--input", source, "--output", ranked)
    done(capsys, "pairs", "--input", ranked, "--output", tmp_path / "d", "--min-margin", 0.001)
    files.input = tmp_path / "d/train.jsonl"
    done(capsys, *files.command)
    assert len(read(files.output)) == 3
    for line, made in zip(read(files.output), read(files.input), strict=True):
        assert line["score_margin"] == pytest.approx(made["score_margin"], abs=1e-4)


def test_columns_of_other_names(files: Files, capsys: Capture) -> None:
    rows = [{"question": "q", "good": "a b c", "bad": "d", "x": n} for n in range(2)]
    write(files.input, rows)
    assert "--columns" in refusal(capsys, *files.command)
    columns = ("--columns", "prompt=question,chosen=good,rejected=bad")
    done(capsys, *files.command, *columns, "--keep", "top=100%")
    assert [line["x"] for line in read(files.output)] == [0, 1]


BAD: dict[str, tuple[Any, str]] = {
    "no chosen": ({"prompt": "q", "rejected": "b"}, "no column chosen"),
    "another layout": ({"prompt": "q", "chosen": "a", "rejected": "b"}, "mixed layouts"),
    "no text": ({**PAIRS[1], "chosen": None}, "chosen"),
    "several rejected": ({**PAIRS[1], "rejected": ["b", "c"]}, "mixed layouts"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_named_before_the_model_is_loaded(
    kind: str, files: Files, capsys: Capture
) -> None:
    line, complaint = BAD[kind]
    write(files.input, [*PAIRS, line])
    (files.model / "config.json").unlink()
    message = refusal(capsys, *files.command)
    assert message.startswith("pairs.jsonl line 10")
    assert complaint in message
    assert not files.output.exists()


def chat(*turns: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(turns)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            {"prompt": "q", "chosen": ["a"], "rejected": ["b", "c"]},
            "filter takes one chosen and one rejected response",
        ),
        (
            {"chosen": chat("q", "a", "b", "c"), "rejected": chat("q", "x", "y", "z")},
            "chosen and rejected differ in more than one last reply",
        ),
    ],
)
def test_what_is_no_pair_of_replies_is_named(
    line: Any, complaint: str, files: Files, capsys: Capture
) -> None:
    write(files.input, [line])
    assert refusal(capsys, *files.command) == f"pairs.jsonl line 1: {complaint}"


def test_files_that_cannot_be_written_are_found_before_scoring(
    files: Files, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = count_batches(monkeypatch)
    files.others = tmp_path
    assert "is a folder; --others names a file" in refusal(capsys, *files.command)
    files.others = files.input / "below.jsonl"
    assert "cannot write to" in refusal(capsys, *files.command)
    files.others = files.output
    assert "--output and --others are both" in refusal(capsys, *files.command)
    assert computed == []


def test_an_interrupted_run_goes_on(
    files: Files, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*files.command, "--batch-tokens", 64)
    with monkeypatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *command)
    whole = [path.read_bytes() for path in (files.output, files.others)]
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert main([str(argument) for argument in command]) == 130
    capsys.readouterr()
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *command)
    assert len(rest) == len(computed) - 2
    assert [path.read_bytes() for path in (files.output, files.others)] == whole


def test_the_input_is_never_written_over(files: Files, capsys: Capture, tmp_path: Path) -> None:
    before = files.input.read_bytes()
    for outputs in (
        ("--output", files.input),
        ("--output", tmp_path / "kept.jsonl", "--others", files.input),
    ):
        line = refusal(capsys, "filter", "--model", files.model, "--input", files.input, *outputs)
        assert line.endswith("is --input too, and pairs would be lost; choose another file")
    assert files.input.read_bytes() == before


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_what_pairs_writes_is_read(
    form: str, files: Files, tmp_path: Path, capsys: Capture
) -> None:
    row = {"prompt": "Tea?", "responses": ["yes", "no", "never"], "scores": [2, 1, 0]}
    write(tmp_path / "ranked.jsonl", [row])
    made = ("--input", tmp_path / "ranked.jsonl", "--output", tmp_path / "made", "--format", form)
    done(capsys, "pairs", *made, "--strategy", "all")
    files.input = tmp_path / f"made/train.{form}"
    done(capsys, *files.command)
    found = [*read(files.output), *read(files.others)]
    assert sorted(pair["chosen"][0]["content"] for pair in found) == ["no", "yes", "yes"]
    model = rmeval.load_model(files.model, device="cpu")
    for pair in found:
        scores = model.score([[*pair["prompt"], *pair[side]] for side in ("chosen", "rejected")])
        assert scores == pytest.approx([pair["score_chosen"], pair["score_rejected"]], abs=1e-4)


def test_a_value_that_no_line_can_hold_is_named(
    files: Files, tmp_path: Path, capsys: Capture
) -> None:
    table = pa.Table.from_pylist([{**PAIRS[0], "when": datetime.date(2026, 1, 1)}])
    files.input = tmp_path / "pairs.parquet"
    pq.write_table(table, files.input)
    assert refusal(capsys, *files.command).startswith("pairs.parquet row 1: 'when' is not JSON (")
