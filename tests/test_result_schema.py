"""A result.json whose fields are of other kinds: one line, whatever reads it."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preferences_by_hand import PROVENANCE, question, result, scored

from rmeval.benchmarks import scheme_of
from rmeval.cli import main
from rmeval.records import Result
from rmeval.reports.model_card import model_index
from rmeval.reports.summary import notes_of
from rmeval.results.files import write_result
from rmeval.results.schema import wrong_field
from rmeval.results.standings import rank_rows

ACCOUNT = {
    "answers": 4,
    "kept_before": 0,
    "servers": ["http://127.0.0.1/v1"],
    "refused": 1,
    "refused_because": "too long",
    "cut": 1,
    "prompt_tokens": 5,
    "completion_tokens": None,
    "usd": 0.5,
    "usd_per_million_tokens": [1.0, 2.0],
}
MODELS: dict[str, dict[str, Any]] = {
    "reward model": {},
    "policy": {"model": {"reference": {"name": "org/r", "revision": None}, "per_token": True}},
    "judge": {
        "model": {
            "family": "judge",
            "prompt": {"name": "p", "kind": "pairwise", "sha256": "0"},
            "order": "random",
            "seed": 1,
            "temperature": 0.5,
            "max_new_tokens": 9,
            "lengths": "words",
        },
        "account": ACCOUNT,
    },
    "ensemble": {
        "model": {"family": "ensemble"},
        "ensemble": {
            "normalise": "rank",
            "members": [{"weight": 0.5, "result": None, "model": dict(PROVENANCE["model"])}],
        },
    },
}
OTHER_KINDS = [None, 7, -1, 10**400, "text", [], ["x"], {}, True]
VERBS = [
    ["aggregate", "a"],
    ["report", "a", "--output", "r.html"],
    ["leaderboard", "."],
    ["history", "."],
    ["plot", ".", "--figure", "forest", "--output", "f"],
    ["compare", "a", "b"],
    ["export", "a", "--format", "eval-results"],
]


def provenance(kind: str) -> dict[str, Any]:
    made = copy.deepcopy({**PROVENANCE, "checks": "passed", "python": "3.12"})
    for key, value in copy.deepcopy(MODELS[kind]).items():
        made[key] = {**made.get(key, {}), **value}
    return made


def fields(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field, inner ones too."""
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from fields(value, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    other = copy.deepcopy(document)
    inner: Any = other
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return other


def made(kind: str) -> Result:
    rows = [scored(question(f"r{n}"), 1.0 - n, 0.0) for n in range(3)]
    return result(rows, provenance=provenance(kind))


def document_of(made: Result) -> dict[str, Any]:
    named = {key: getattr(made, key) for key in ("benchmark", "definition", "model", "weighting")}
    rest = {"schema": 2, "partial": None, "metrics": {}, "rows": {}, "scores_sha256": "0"}
    return {**named, **rest, "provenance": made.provenance}


@pytest.mark.parametrize("kind", MODELS)
def test_what_passes_is_shown_and_what_does_not_is_named(kind: str) -> None:
    of_it = made(kind)
    document, tally = document_of(of_it), scheme_of(of_it.definition).tally(of_it.scored)
    assert wrong_field(document) is None
    for path in fields(document):
        for value in OTHER_KINDS:
            other = changed(document, path, value)
            wrong = wrong_field(other)
            if wrong is None:
                shown = replace(of_it, **{k: other[k] for k in ("partial", "provenance")})
                assert list(notes_of(shown, tally)), (path, value)
                assert rank_rows([shown], []), (path, value)
                assert shown.partial or model_index(shown), (path, value)
            else:
                at = ".".join(map(str, path))
                assert wrong.startswith(at) or at.startswith(wrong), (path, wrong)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_the_line_names_the_file_and_the_field(
    verb: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path("a"), Path("b")):
        folder.mkdir()
        write_result(folder, made("judge"))
    document = json.loads(Path("a/result.json").read_text("utf-8"))
    other = changed(document, ("provenance", "model", "temperature"), "warm")
    Path("a/result.json").write_text(json.dumps(other), "utf-8")
    assert main(verb) == 2
    assert capsys.readouterr().err == (
        "rmeval: a/result.json: not a result of rmeval: provenance.model.temperature is missing or "
        "of another kind\n"
    )
