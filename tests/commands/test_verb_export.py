"""`rmeval export`: into a file, a model card, or a pull request that was asked for."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import yaml
from command_line import Capture, done, refusal
from huggingface_hub import ModelCard
from huggingface_hub.errors import HTTPError
from measured import LOCAL, keep, measured

from rmeval.cli import main
from rmeval.reports.model_card import eval_results_yaml, merge_into_readme, model_index

RESULT = measured("org/m", 9)
CARD = "\ufeff---\r\nlicense:  mit # as it was\r\n---\r\n# Ümlaut\r\n---\r\n"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return keep(tmp_path / "results", RESULT)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been uploaded."""
    made: list[dict[str, Any]] = []

    def upload_file(**arguments: Any) -> SimpleNamespace:
        made.append(arguments)
        return SimpleNamespace(pr_url="https://hub/org/m/discussions/1")

    monkeypatch.setattr(huggingface_hub, "upload_file", upload_file)
    return made


def card(tmp_path: Path, text: str = CARD) -> Path:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_a_model_card_is_merged_in_place_byte_for_byte(
    kept: Path, capsys: Capture, tmp_path: Path, uploads: list[Any]
) -> None:
    readme = card(tmp_path)
    out, _ = done(capsys, "export", kept, "--format", "model-index", "--readme", readme)
    assert out == f"wrote {readme}\n"
    merged = readme.read_bytes()
    start = "\ufeff---\r\nlicense:  mit # as it was\r\n".encode()
    assert merged.startswith(start + b"model-index:\r\n")
    assert merged.endswith("---\r\n# Ümlaut\r\n---\r\n".encode())
    assert ModelCard.load(readme).data.eval_results == model_index(RESULT)
    done(capsys, "export", kept, "--format", "model-index", "--readme", readme)
    assert readme.read_bytes() == merged
    assert uploads == []


def test_a_linked_card_stays_a_link(kept: Path, capsys: Capture, tmp_path: Path) -> None:
    readme = card(tmp_path)
    link = tmp_path / "link.md"
    link.symlink_to(readme)
    done(capsys, "export", kept, "--format", "model-index", "--readme", link)
    assert link.is_symlink()
    assert "model-index" in readme.read_text(encoding="utf-8")


def test_a_card_can_be_merged_into_another_file(
    kept: Path, capsys: Capture, tmp_path: Path
) -> None:
    readme, other = card(tmp_path), tmp_path / "other.md"
    arguments = ("--format", "model-index", "--readme", readme, "--output", other)
    done(capsys, "export", kept, *arguments)
    assert readme.read_bytes() == CARD.encode()
    assert other.read_bytes() == merge_into_readme(CARD, [RESULT]).encode()


def test_without_a_file_the_text_is_printed(kept: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "export", kept, "--format", "model-index")
    assert out == merge_into_readme("", [RESULT])
    out, _ = done(capsys, "export", kept, "--format", "eval-results")
    assert out == eval_results_yaml(RESULT)


def test_tables_hold_the_results_of_one_benchmark(
    kept: Path, capsys: Capture, tmp_path: Path
) -> None:
    other = keep(tmp_path / "results", measured("org/n_1", 5))
    out, _ = done(capsys, "export", kept, other, "--format", "csv")
    assert [row["model"] for row in csv.DictReader(io.StringIO(out))] == ["org/n_1", "org/m"]
    latex, _ = done(capsys, "export", kept, other, "--format", "latex")
    assert r"org/n\_1" in latex
    third = keep(tmp_path / "results", measured(benchmark="demo", definition="demo"))
    for form in ("csv", "latex"):
        line = refusal(capsys, "export", kept, third, "--format", form)
        assert line == "a table covers one benchmark: pass folders of one"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("---\nlicense: [mit\n---\n", "not YAML"),
        ("---\nmodel-index: text\n---\n", "model-index cannot be read"),
        ("---\nlicense: mit\n", "has no end"),
    ],
)
def test_a_broken_card_is_left_alone(
    text: str, complaint: str, kept: Path, capsys: Capture, tmp_path: Path
) -> None:
    readme = card(tmp_path, text)
    line = refusal(capsys, "export", kept, "--format", "model-index", "--readme", readme)
    assert complaint in line
    assert readme.read_bytes() == text.encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "results"]


def test_a_card_that_cannot_be_read_is_named(kept: Path, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "bytes.md").write_bytes(b"\xff")
    for name in ("none.md", "bytes.md"):
        arguments = ("--format", "model-index", "--readme", tmp_path / name)
        assert refusal(capsys, "export", kept, *arguments) == (
            f"cannot read --readme {tmp_path / name}"
        )


@pytest.mark.parametrize("form", ["model-index", "eval-results"])
def test_a_partial_result_is_refused(
    form: str, capsys: Capture, tmp_path: Path, uploads: list[Any]
) -> None:
    partial = keep(tmp_path / "results", measured(partial="9 of 2985 rows (--limit)"))
    line = refusal(capsys, "export", partial, "--format", form)
    assert line == f"{partial}: no Score to export (9 of 2985 rows (--limit))"


def test_local_rows_are_marked_in_a_card_and_refused_on_the_hub(
    capsys: Capture, tmp_path: Path
) -> None:
    local = keep(tmp_path / "results", measured(data=LOCAL))
    assert "its rows are not from the Hub" in refusal(
        capsys, "export", local, "--format", "eval-results"
    )
    out, _ = done(capsys, "export", local, "--format", "model-index")
    assert "rewardbench (local rows)" in out


def test_a_pull_request_is_opened_only_when_asked_for(
    kept: Path, capsys: Capture, tmp_path: Path, uploads: list[dict[str, Any]]
) -> None:
    readme = card(tmp_path)
    arguments = ("--format", "model-index", "--readme", readme, "--push", "org/m")
    out, _ = done(capsys, "export", kept, *arguments)
    assert out.endswith("opened https://hub/org/m/discussions/1\n")
    out, _ = done(capsys, "export", kept, "--format", "eval-results", "--push", "org/m")
    printed = yaml.safe_load(out.rsplit("opened", 1)[0])
    assert printed[0]["value"] == model_index(RESULT)[0].metric_value
    paths = [upload["path_in_repo"] for upload in uploads]
    assert paths == ["README.md", ".eval_results/rewardbench.yaml"]
    assert [upload["repo_id"] for upload in uploads] == ["org/m"] * 2
    assert all(upload["create_pr"] for upload in uploads)
    assert uploads[0]["path_or_fileobj"] == readme.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--format", "csv", "--push", "org/m"), "--push goes with --format model-index or"),
        (("--format", "csv", "--readme", "x.md"), "--readme goes with --format model-index"),
        (("--format", "model-index", "--push", "org/m"), "the rest of the card would be lost"),
        (
            ("--format", "eval-results", "--push", "m"),
            "'m' is not a repository on the Hub, ORG/NAME",
        ),
        (("--format", "eval-results", "--push", "a/b/c"), "not a repository on the Hub"),
        (("--format", "eval-results", "--push", "../m"), "not a repository on the Hub"),
        (("--format", "eval_results"), "did you mean 'eval-results'?"),
        ((), "--format"),
    ],
)
def test_options_that_make_no_sense_upload_nothing(
    arguments: tuple[str, ...],
    complaint: str,
    kept: Path,
    capsys: Capture,
    uploads: list[dict[str, Any]],
) -> None:
    assert complaint in refusal(capsys, "export", kept, *arguments)
    assert uploads == []


@pytest.mark.parametrize("error", [HTTPError("no\nroute"), OSError("offline"), ConnectionError()])
def test_a_hub_that_refuses_is_one_line(
    error: Exception, kept: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def upload_file(**_: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "upload_file", upload_file)
    output = tmp_path / "out.yaml"
    arguments = ("--format", "eval-results", "--output", output, "--push", "org/m")
    assert main(["export", str(kept), *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == f"wrote {output}\n"
    assert err.startswith("rmeval: cannot open a pull request on org/m (")
    assert err.count("\n") == 1


def test_several_results_do_not_fit_one_file_of_the_hub(
    kept: Path, capsys: Capture, tmp_path: Path
) -> None:
    other = keep(tmp_path / "results", measured("org/m", 5))
    line = refusal(capsys, "export", kept, other, "--format", "eval-results")
    assert line == "one file holds one benchmark's results: pass one folder"
    line = refusal(capsys, "export", kept, other, "--format", "model-index")
    assert line == "two of these results are of the same rows and weighting: pass one"


def test_a_folder_without_a_result_is_named(capsys: Capture, tmp_path: Path) -> None:
    line = refusal(capsys, "export", tmp_path, "--format", "csv")
    assert line.startswith(f"{tmp_path}: no result.json here")
