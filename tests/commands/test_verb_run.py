"""`rmeval run`, from the options to the files."""

import json
import re
from pathlib import Path

import pytest
from command_line import (
    Capture,
    count_batches,
    done,
    interrupt_after,
    refusal,
    small_model,
)
from documented import assert_documented

import rmeval
from rmeval.cli import main
from rmeval.models import load as models_load
from rmeval.results.scores import read_scores

RUN = ("run", "--benchmark", "demo", "--device", "cpu")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "lab/small")


def kept(output: Path) -> Path:
    return output / "demo/lab__small"


def test_the_demo_model_runs_from_end_to_end(capsys: Capture, tmp_path: Path) -> None:
    out, err = done(capsys, "run", "--limit", 3, "--output", tmp_path)
    assert "demo on demo (rewardbench-v1 weighting)" in out
    assert "PARTIAL: 3 of 368 rows, evenly spread" in out
    assert "tokens/s" in err
    assert len(read_scores(tmp_path / "demo/demo/scores.jsonl")) == 3


def test_a_whole_run_prints_a_score_and_keeps_it(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    run = (*RUN, "--model", model, "--output", tmp_path, "--max-length", 48)
    out, err = done(capsys, *run)
    document = json.loads((kept(tmp_path) / "result.json").read_text())
    assert document["partial"] is None
    score = next(line for line in out.splitlines() if line.startswith("Score"))
    interval = document["intervals"]["overall"]
    low, high = (f"{100 * interval[end]:.1f}" for end in ("low", "high"))
    value = f"{100 * document['metrics']['overall']:.1f}"
    assert score.split() == ["Score", value, f"({low}", "to", f"{high})", "368"]
    assert document["provenance"]["checks"] == "passed"
    assert "PARTIAL" not in out
    assert str(kept(tmp_path)) in out
    assert all(line.startswith("scored ") for line in err.splitlines())
    assert len(read_scores(kept(tmp_path) / "scores.jsonl")) == 368
    assert_documented(kept(tmp_path))


def test_a_run_tells_all_that_its_rewards_depend_on(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    done(capsys, *RUN, "--model", model, "--output", tmp_path, "--limit", 1, "--dtype", "float64")
    provenance = json.loads((kept(tmp_path) / "result.json").read_text())["provenance"]
    told = provenance["model"]
    assert (told["family"], told["dtype"]) == ("internlm2", "float64")
    assert told["architecture"] == "InternLM2ForRewardModel"
    assert told["max_length"] == 2048
    assert told["specials"]["bos"] == 1
    assert len(told["template_sha256"]) == len(told["fingerprint"]) == 64
    assert provenance["engine"]["device"] == "cpu"
    assert provenance["versions"]["torch"]


def test_the_last_line_says_what_was_not_scoring(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    out, _ = done(capsys, *RUN, "--model", model, "--output", tmp_path / "out", "--limit", 2)
    last = out.splitlines()[-1]
    parts = dict(part.rsplit(" ", 1) for part in last.partition("scoring: ")[2].split(", "))
    assert re.match(r"[\d.]+ s in all; \d+% is not scoring: ", last)
    wanted = {"loading", "checks", "tokenising", "reading data", "statistics", "writing"}
    assert wanted <= parts.keys()
    assert all(float(seconds) >= 0 for seconds in parts.values())


def test_a_second_run_computes_nothing_and_gives_the_same_bytes(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--model", model, "--output", tmp_path, "--limit", 23)
    first, _ = done(capsys, *run)
    scores = (kept(tmp_path) / "scores.jsonl").read_bytes()
    computed = count_batches(monkeypatch)
    second, _ = done(capsys, *run)
    assert computed == []
    assert (kept(tmp_path) / "scores.jsonl").read_bytes() == scores
    assert first.splitlines()[:30] == second.splitlines()[:30]


def test_other_settings_share_no_kept_scores(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--model", model, "--output", tmp_path, "--limit", 2)
    done(capsys, *run)
    assert len(list(kept(tmp_path).rglob("*.sqlite"))) == 1
    for change in (("--dtype", "float64"), ("--batch-tokens", "512")):
        computed = count_batches(monkeypatch)
        done(capsys, *run, *change)
        assert computed


def test_a_run_that_was_interrupted_goes_on_where_it_stopped(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--model", model, "--limit", 23, "--batch-tokens", 512, "--output")
    with monkeypatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *run, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert main([*map(str, run), str(tmp_path / "broken")]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "rmeval: interrupted; run the same command again to resume"
    assert not (kept(tmp_path / "broken") / "result.json").exists()
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *run, tmp_path / "broken")
    assert len(rest) == len(computed) - 2
    whole, resumed = (
        (kept(tmp_path / name) / "scores.jsonl").read_bytes() for name in ("whole", "broken")
    )
    assert resumed == whole


@pytest.mark.parametrize("reward", [3.4e38, -3.4e38])
def test_a_reward_that_is_not_finite_stops_the_run_and_names_the_preference(
    reward: float, capsys: Capture, tmp_path: Path
) -> None:
    model = small_model(tmp_path / "lab/small", reward=reward)
    run = (*RUN, "--model", model, "--output", tmp_path, "--limit", 3)
    assert "is not fit to run (finite): " in refusal(capsys, *run)  # found before the work
    line = refusal(capsys, *run, "--no-checks")
    assert line.startswith("preference ")
    assert " response: the reward is " in line
    assert not (kept(tmp_path) / "result.json").exists()
    assert not (kept(tmp_path) / "scores.jsonl").exists()


def test_a_partial_run_enters_no_leaderboard(model: Path, capsys: Capture, tmp_path: Path) -> None:
    done(capsys, *RUN, "--model", model, "--output", tmp_path, "--limit", 1)
    out, _ = done(capsys, "leaderboard", tmp_path, "--format", "json")
    [row] = json.loads(out)
    assert (row["rank"], row["Score"]) == (None, None)
    assert row["notes"] == ["partial: 1 of 368 rows, evenly spread"]


def test_a_run_of_the_command_line_equals_one_from_python(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    done(capsys, *RUN, "--model", model, "--output", tmp_path, "--limit", 9)
    loaded = rmeval.load_model(str(model), device="cpu")
    result = rmeval.evaluate(loaded, rmeval.load_benchmark("demo"), limit=9)
    assert read_scores(kept(tmp_path) / "scores.jsonl") == result.scored


def test_long_conversations_are_cut_and_counted(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    run = (*RUN, "--model", model, "--output", tmp_path, "--limit", 5, "--max-length", 32)
    out, _ = done(capsys, *run)
    scored = read_scores(kept(tmp_path) / "scores.jsonl")
    assert max(score.tokens for item in scored for score in item.scores) == 32
    cut = sum(score.truncated for item in scored for score in item.scores)
    assert cut > 0
    assert f"truncated: {cut} of 10 responses" in out


def test_a_length_that_leaves_no_room_is_refused(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    line = refusal(capsys, *RUN, "--model", model, "--output", tmp_path, "--max-length", 4)
    assert "--max-length 4 leaves no room for text" in line


def test_own_rows_are_scored_with_their_oddities_counted(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    row = {"prompt": "p", "chosen": "", "rejected": "b", "subset": "hep-go", "id": 1}
    same = {**row, "chosen": "same", "rejected": "same", "id": 2}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(same)}\n")
    data = ("run", "--data", tmp_path / "rows.jsonl", "--device", "cpu")
    out, _ = done(capsys, *data, "--model", model, "--output", tmp_path)
    assert "PARTIAL: 2 rows instead of 2985" in out
    assert "ties (counted as losses): 1" in out
    assert "empty responses: 1; identical responses in 1 rows" in out
    scored = read_scores(tmp_path / "rewardbench/lab__small/scores.jsonl")
    assert scored[1].scores[0] == scored[1].scores[1]


def test_a_recipe_runs_as_if_typed(model: Path, capsys: Capture, tmp_path: Path) -> None:
    recipe = f'model = "{model}"\nbenchmark = "demo"\nlimit = 2\n'
    (tmp_path / "recipe.toml").write_text(recipe + 'weighting = "rewardbench-v1-2024-07"\n')
    where = ("--config", tmp_path / "recipe.toml", "--output", tmp_path)
    out, err = done(capsys, "run", *where, "--limit", 3, "-q")
    assert err == ""
    assert "(rewardbench-v1-2024-07 weighting)" in out
    assert len(read_scores(kept(tmp_path) / "scores.jsonl")) == 3


def test_a_file_in_the_stores_way_is_one_line(model: Path, capsys: Capture, tmp_path: Path) -> None:
    kept(tmp_path).mkdir(parents=True)
    (kept(tmp_path) / "store").write_text("")
    line = refusal(capsys, *RUN, "--model", model, "--output", tmp_path, "--limit", 1)
    assert "store" in line


def test_several_benchmarks_are_run_with_one_load(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = '{"prompt": "p", "chosen": "good", "rejected": "bad"}\n' * 2
    (tmp_path / "mine.jsonl").write_text(rows)
    loads = []
    load = models_load.load_scorer
    monkeypatch.setattr(
        models_load, "load_scorer", lambda *a, **k: loads.append(a) or load(*a, **k)
    )
    both = f"demo,{tmp_path / 'mine.jsonl'}"
    out, _ = done(capsys, "run", "--benchmark", both, "--device", "cpu", "--model", model,
                  "--output", tmp_path, "--limit", 5, "--no-checks")  # fmt: skip
    assert len(loads) == 1
    assert "layout: prompt: text; chosen: text; rejected: text" in out
    for name, rows_in_all in (("demo", 5), ("mine", 2)):
        document = json.loads((tmp_path / name / "lab__small" / "result.json").read_text())
        assert sum(document["rows"].values()) == rows_in_all
        assert document["provenance"]["checks"] == "insisted, --no-checks"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--benchmark", "demo,demo"), "two benchmarks are called demo"),
        (("--benchmark", "demo,"), "an empty name"),
        (("--benchmark", "demo,nowhere.jsonl"), "no such file"),
        (("--benchmark", "rewardbnch"), "unknown benchmark 'rewardbnch'; did you mean"),
        (("--benchmark", "demo", "--columns", "prompt=p"), "demo needs neither"),
        (("--benchmark", "demo", "--subset", "hep-goo"), "unknown subset of demo 'hep-goo'"),
        (("--benchmark", "demo", "--weighting", "old"), "unknown weighting 'old'"),
        (("--benchmark", "demo,rm-bench", "--data", "x"), "for which benchmark? Pass NAME=PATH"),
        (("--benchmark", "demo,rm-bench", "--data-revision", "x"), "takes one benchmark"),
        (("--benchmark", "nowhere.jsonl"), "no such file"),
    ],
)
def test_a_mistake_about_the_rows_is_found_before_the_model_is_loaded(
    options: tuple[str, ...], message: str, capsys: Capture, tmp_path: Path
) -> None:
    line = refusal(capsys, "run", "--model", tmp_path / "no-model", *options)
    assert message in line
