"""`rmeval pairs`: a folder of preference data that TRL loads, and a card."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
import pytest
import yaml
from command_line import Capture, done, refusal, small_model

from rmeval.reports.preference_data import FORMATS

RANKED: list[dict[str, Any]] = [
    {"prompt": "Why?", "responses": ["bad", "best", "good"], "scores": [1.0, 4.5, 3.0], "id": 1},
    {"prompt": "How?", "responses": ["a", "a"], "scores": [2.0, 2.0]},
    {"messages": [{"role": "user", "content": "Grüße 世界"}], "responses": ["", "ja"],
     "scores": [-1.0, 0.0]},
]  # fmt: skip
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    ranked = write(tmp_path / "ranked.jsonl", RANKED)
    return ("pairs", "--input", ranked, "--output", tmp_path / "data")


def load(folder: Path) -> pa.Table:
    """The rows as a loader that knows nothing of rmeval reads them: by the card's metadata."""
    front = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    (config,) = front["configs"]
    file = folder / config["data_files"]
    read = pa.parquet.read_table if file.suffix == ".parquet" else pa.json.read_json
    table: pa.Table = read(file)
    return table


@pytest.mark.parametrize("form", FORMATS)
def test_the_columns_are_trls_conversations(
    form: str, command: Any, tmp_path: Path, capsys: Capture
) -> None:
    """TRL, docs/source/dataset_formats.md: preference, conversational, explicit prompt."""
    out, _ = done(capsys, *command, "--format", form)
    assert out.startswith(f"2 pairs: {tmp_path / 'data' / f'train.{form}'}")
    table = load(tmp_path / "data")
    for column in ("prompt", "chosen", "rejected"):
        assert table.schema.field(column).type == MESSAGES
    for column in ("score_chosen", "score_rejected", "score_margin"):
        assert table.schema.field(column).type == pa.float64()
    assert table.to_pylist() == [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
            "score_chosen": high,
            "score_rejected": low,
            "score_margin": high - low,
        }
        for prompt, chosen, rejected, high, low in (
            ("Why?", "best", "bad", 4.5, 1.0),
            ("Grüße 世界", "ja", "", 0.0, -1.0),
        )
    ]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {f"train.{form}", "README.md"}


def test_parquet_of_many_rows_comes_in_parts(
    command: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmeval.reports.preference_data.CHUNK", 2)
    done(capsys, *command, "--format", "parquet", "--strategy", "all")
    file = pa.parquet.ParquetFile(tmp_path / "data/train.parquet")
    assert (file.num_row_groups, file.metadata.num_rows) == (2, 4)


def card(folder: Path) -> dict[str, str]:
    rows = [line.split("|") for line in (folder / "README.md").read_text().splitlines()]
    return {row[1].strip(): row[2].strip() for row in rows if len(row) == 4}


def test_the_card_counts_and_says_how(command: Any, tmp_path: Path, capsys: Capture) -> None:
    options = ("--strategy", "all", "--min-margin", 1.25)
    done(capsys, *command, *options)
    said = card(tmp_path / "data")
    expected = {
        "reward model": "not recorded",
        "strategy": "all",
        "least margin": "1.25",
        "prompts": "3",
        "prompts without a pair": "2",
        "pairs": "3",
        "mean margin": "2.333",
        "median margin": "2",
    }
    assert {key: said[key] for key in expected} == expected
    assert "seed" not in said
    histogram = (tmp_path / "data/README.md").read_text().split("```")[1].strip().splitlines()
    assert len(histogram) == 12
    assert sum(int(line.split()[3]) for line in histogram) == 3
    assert histogram[0].split()[:3] == ["0", "to", "0.2917"]
    assert histogram[-1].split()[2:4] == ["3.5", "1"]


def test_the_card_names_the_model_that_ranked(tmp_path: Path, capsys: Capture) -> None:
    model = small_model(tmp_path / "a|b")
    source = write(tmp_path / "in.jsonl", [{"prompt": "q", "responses": ["a", "b c", "d"]}])
    ranked = tmp_path / "ranked.jsonl"
    done(capsys, "rank", "--model", model, "--device", "cpu", "--input", source, "--output", ranked)
    command = ("pairs", "--input", ranked, "--strategy", "best-random", "--seed", 5, "--output")
    done(capsys, *command, tmp_path / "data")
    text = (tmp_path / "data/README.md").read_text()
    assert str(model).replace("|", "\\|") in text
    said = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert "none, a local folder" in said["revision"]
    assert "float32" in said["dtype"]
    assert "| 5 " in said["seed"]
    assert len(said["weights, sha256"].split("|")[2].strip()) == 64
    ranked.write_text(ranked.read_text() * 2)
    done(capsys, *command, tmp_path / "data2")
    assert card(tmp_path / "data2")["reward model"] == "not recorded"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no scores": ({"prompt": "q", "responses": ["a"]}, "`rmeval rank` adds them"),
    "too few": ({"prompt": "q", "responses": ["a", "b"], "scores": [1]}, "1 scores for 2"),
    "NaN": ({"prompt": "q", "responses": ["a"], "scores": [float("nan")]}, "a score is nan"),
    "no responses": ({"prompt": "q", "responses": [], "scores": []}, "no responses"),
    "no prompt": ({"responses": ["a"], "scores": [1]}, "no prompt and no messages"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("form", FORMATS)
def test_a_bad_line_is_named_and_nothing_is_written(
    kind: str, form: str, command: Any, tmp_path: Path, capsys: Capture
) -> None:
    line, complaint = BAD[kind]
    write(tmp_path / "ranked.jsonl", [*RANKED, line])
    message = refusal(capsys, *command, "--format", form)
    assert message.startswith("ranked.jsonl line 4: ")
    assert complaint in message
    assert list((tmp_path / "data").iterdir()) == []


def test_options_are_checked_before_anything_is_read(
    command: Any, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "ranked.jsonl").unlink()
    assert "did you mean 'best-worst'" in refusal(capsys, *command, "--strategy", "best-worse")
    for margin in ("-1", "nan", "inf"):
        assert "at least 0" in refusal(capsys, *command, f"--min-margin={margin}")
    assert "did you mean 'parquet'" in refusal(capsys, *command, "--format", "parket")
    assert refusal(capsys, *command).endswith("no such file; `rmeval rank` makes one")


def test_no_pairs_at_all_are_an_error(command: Any, tmp_path: Path, capsys: Capture) -> None:
    assert refusal(capsys, *command, "--min-margin", 9).startswith("no pairs: no prompt has two")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_folder_with_something_else_in_it_is_left_alone(
    command: Any, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "data").mkdir()
    readme = tmp_path / "data/README.md"
    readme.write_text("# Mine\n")
    assert "was not written by rmeval" in refusal(capsys, *command)
    assert readme.read_text() == "# Mine\n"
    readme.unlink()
    done(capsys, *command)
    first = (tmp_path / "data/train.jsonl").read_bytes()
    done(capsys, *command)
    assert (tmp_path / "data/train.jsonl").read_bytes() == first
    assert "holds train.jsonl" in refusal(capsys, *command, "--format", "parquet")
