"""`rmeval push` and `rmeval pull`, with huggingface_hub's own client and a Hub on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from demo_results import PROVENANCE, keep
from fake_hub import FakeHub, Files, hub

import rmeval
from rmeval.cli import main
from rmeval.results.exchange import MOST_BYTES, Outcome, is_named_for, model_label
from rmeval.results.files import folder_name, read_result, run_folder

# The client's own way of sending bytes is one that its HTTP library would rather not see.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "lab/results"
PLACE = "results/demo/org__m"
BOTH = ("scores.jsonl", "result.json")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    with hub(monkeypatch, tmp_path / "cache") as running:
        running.add(REPO, {"README.md": b"---\nlicense: apache-2.0\n---\n"})
        yield running


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    keep(tmp_path / "mine" / "demo" / "org__m", {"refusals-dangerous": 3})
    return tmp_path / "mine"


def contents(folder: Path, place: str = PLACE) -> Files:
    """A result's files as a repository has them."""
    return {f"{place}/{name}": (folder / name).read_bytes() for name in BOTH}


def settings(**changes: Any) -> dict[str, Any]:
    return {"provenance": {**PROVENANCE, "model": {**PROVENANCE["model"], **changes}}}


def pulled(capsys: Capture, output: Path, status: int = 0, *more: str) -> str:
    assert main(["pull", REPO, "--output", str(output), *more]) == status
    return capsys.readouterr().out


def written(asked: list[str]) -> list[str]:
    return [line for line in asked if line.startswith(("POST", "PUT"))]


def test_nothing_is_uploaded_by_a_dry_run(lab: FakeHub, mine: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "push", mine, "--results", REPO, "--dry-run")
    assert f"new: {PLACE} (Score " in out
    for name in BOTH:
        size = (mine / "demo" / "org__m" / name).stat().st_size
        assert f"{size:,} bytes  {PLACE}/{name}\n" in out
    assert "2 files as a pull request to the data set lab/results" in out
    assert not written(lab.asked)


def test_a_push_is_a_pull_request_of_these_very_files(
    lab: FakeHub, mine: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, "push", mine, "--results", REPO)
    assert f"made: {lab.url}/datasets/lab/results/discussions/1" in out
    assert list(lab.files(REPO)) == ["README.md"]
    proposed = lab.files(REPO, "refs/pr/1")
    assert proposed == {**lab.files(REPO), **contents(mine / "demo" / "org__m")}
    assert f"- `{PLACE}` Score " in lab.messages[0]["description"]


def test_a_second_push_makes_no_second_pull_request(
    lab: FakeHub, mine: Path, capsys: Capture
) -> None:
    done(capsys, "push", mine, "--results", REPO)
    before = len(written(lab.asked))
    out, _ = done(capsys, "push", mine, "--results", REPO)
    assert f"the same is already proposed: {lab.url}/datasets/lab/results/discussions/1" in out
    assert len(written(lab.asked)) == before
    lab.repositories[REPO]["main"] = lab.files(REPO, "refs/pr/1")  # merged
    out, _ = done(capsys, "push", mine, "--results", REPO)
    assert f"there already: {PLACE}" in out
    assert "nothing to upload" in out


def test_direct_commits_to_the_main_branch(lab: FakeHub, mine: Path, capsys: Capture) -> None:
    done(capsys, "push", mine, "--results", REPO, "--direct")
    assert lab.files(REPO).keys() == {"README.md", *(f"{PLACE}/{name}" for name in BOTH)}
    assert not lab.requests[REPO]


def test_a_push_that_broke_off_goes_on_where_it_stopped(
    lab: FakeHub, mine: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.fails_at = "/commit/"
    assert main(["push", str(mine), "--results", REPO]) == 2
    assert "nothing was committed" in capsys.readouterr().err
    stored = [line for line in lab.asked if line.startswith("PUT")]
    assert len(stored) == 1
    lab.fails_at = ""
    done(capsys, "push", mine, "--results", REPO)
    assert [line for line in lab.asked if line.startswith("PUT")] == stored
    assert len(lab.requests[REPO]) == 1


def test_files_that_a_gitignore_left_out_are_missed(
    lab: FakeHub, mine: Path, capsys: Capture
) -> None:
    lab.ignored = (".jsonl",)
    assert main(["push", str(mine), "--results", REPO]) == 2
    assert f"lacks {PLACE}/scores.jsonl, or has it changed: does .gitignore" in (
        capsys.readouterr().err
    )


def test_without_a_token_it_says_how_to_get_one(
    lab: FakeHub, mine: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", str(mine), "--results", REPO]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("rmeval: cannot write to dataset lab/results (")
    assert "`hf auth login`" in error


def test_other_settings_go_beside_and_other_scores_stay_unless_replaced(
    lab: FakeHub, tmp_path: Path, capsys: Capture
) -> None:
    lab.files(REPO).update(contents(keep(tmp_path / "theirs")))
    other = tmp_path / "other" / "demo" / "org__m"
    keep(other, **settings(dtype="bfloat16"))
    out, _ = done(capsys, "push", other, "--results", REPO, "--direct")
    (beside,) = {line.split()[1] for line in out.splitlines() if line.startswith("new: ")}
    assert beside.startswith(f"{PLACE}-")
    assert f"{beside}/result.json" in lab.files(REPO)
    worse = keep(tmp_path / "worse" / "demo" / "org__m", {"refusals-dangerous": 1})
    before = dict(lab.files(REPO))
    out, _ = done(capsys, "push", worse, "--results", REPO, "--direct")
    assert f"differs: {PLACE} (it has other scores there; " in out
    assert lab.files(REPO) == before
    done(capsys, "push", worse, "--results", REPO, "--direct", "--replace")
    assert lab.files(REPO) == before | contents(worse)


def test_the_same_result_run_again_is_there_already(
    lab: FakeHub, tmp_path: Path, capsys: Capture
) -> None:
    lab.files(REPO).update(contents(keep(tmp_path / "theirs")))
    again = keep(tmp_path / "a", provenance={**PROVENANCE, "started": "2027-01-01T00:00:00+00:00"})
    out, _ = done(capsys, "push", again, "--results", REPO)
    assert f"there already: {PLACE}" in out
    assert (
        "0 new, 1 there already"
        in (done(capsys, "pull", REPO, "--output", _placed(tmp_path, again))[0])
    )


def _placed(tmp_path: Path, folder: Path) -> Path:
    place = tmp_path / "results" / "demo" / "org__m"
    place.parent.mkdir(parents=True)
    folder.rename(place)
    return tmp_path / "results"


def test_partial_results_are_left_out(lab: FakeHub, tmp_path: Path, capsys: Capture) -> None:
    whole = read_result(keep(tmp_path / "a"))
    keep(tmp_path / "b", scored=whole.scored[:9], partial="the first 9 rows")
    out, err = done(capsys, "push", tmp_path / "b", "--results", REPO)
    assert out == "nothing to upload\n"
    assert err == "left out, since they are partial: 1\n"


def test_two_results_of_one_place_are_not_both_pushed(
    lab: FakeHub, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("a", "b"):
        keep(tmp_path / name / "demo" / "org__m")
    assert main(["push", str(tmp_path / "a"), str(tmp_path / "b"), "--results", REPO]) == 1
    assert f"refused: {PLACE} (two of these have this place)" in capsys.readouterr().out


def test_a_pull_brings_results_that_a_leaderboard_reads(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    source = mine / "demo" / "org__m"
    lab.files(REPO).update(contents(source))
    output = tmp_path / "results"
    assert f"new: {PLACE} (Score " in pulled(capsys, output)
    for name in BOTH:
        assert (output / "demo" / "org__m" / name).read_bytes() == (source / name).read_bytes()
    assert "org/m" in done(capsys, "leaderboard", output)[0]
    assert pulled(capsys, output) == "0 new, 1 there already, 0 differs, 0 refused\n"


def test_a_pull_may_be_of_a_pull_request_and_of_one_benchmark(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    done(capsys, "push", mine, "--results", REPO)
    out = pulled(capsys, tmp_path / "a", 0, "--revision", "refs/pr/1", "--benchmark", "demo")
    assert out.startswith(f"new: {PLACE}")
    asked = ("pull", REPO, "--output", tmp_path / "b", "--revision")
    assert "has no results of rewardbench" in refusal(
        capsys, *asked, "refs/pr/1", "--benchmark", "rewardbench"
    )
    assert "has no revision 'nowhere'" in refusal(capsys, *asked, "nowhere")


def test_what_is_here_is_never_written_over(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    lab.files(REPO).update(contents(keep(tmp_path / "theirs")))
    before = contents(mine / "demo" / "org__m")
    out = pulled(capsys, mine)
    assert f"differs: {PLACE} ({mine}/demo/org__m has Score " in out
    assert "the repository Score 100.00" in out
    assert contents(mine / "demo" / "org__m") == before


def test_a_pull_that_broke_off_goes_on(lab: FakeHub, tmp_path: Path, capsys: Capture) -> None:
    for won, model in enumerate(("org__a", "org__b")):
        won_of = {"refusals-dangerous": won}
        folder = keep(tmp_path / model, won_of, model=model.replace("__", "/"))
        lab.files(REPO).update(contents(folder, f"results/demo/{model}"))
    lab.fails_at = "org__b/scores.jsonl"
    output = tmp_path / "results"
    assert main(["pull", REPO, "--output", str(output)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("rmeval: wanted results/demo/org__a/")
    assert error.endswith("; run the same command again")
    assert not output.exists()
    lab.fails_at = ""
    lab.asked.clear()
    assert "2 new" in pulled(capsys, output)
    fetched = [line for line in lab.asked if line.startswith("GET /datasets/")]
    assert [line.partition("results/demo/")[2] for line in fetched] == ["org__b/scores.jsonl"]


def damaged(document: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(document), **changes}).encode()


def hostile(files: Files, tmp_path: Path) -> dict[str, tuple[Files, str]]:
    """Folders that must be refused, by name, and what is said of each."""
    scores, result = (files[f"{PLACE}/{name}"] for name in BOTH)

    def at(folder: str, result: bytes = result, scores: bytes = scores) -> Files:
        place = f"results/demo/{folder}"
        return {f"{place}/scores.jsonl": scores, f"{place}/result.json": result}

    better = damaged(result, metrics={**json.loads(result)["metrics"], "overall": 0.999})
    deep = b"[" * 100_000
    unknown = damaged(result, definition="os:system")
    return {
        "not json": (at("org__m", b"{"), "not a result of rmeval"),
        "deep json": (at("org__m", deep), "not a result of rmeval"),
        "not utf-8": (at("org__m", b"\xff\xfe"), "is not UTF-8"),
        "a better number": (at("org__m", better), "overall is 0.999"),
        "other scores": (at("org__m", result, scores.replace(b"-1.0", b"1.0")), "not the scores"),
        "no scores": ({f"{PLACE}/result.json": result}, "no scores.jsonl"),
        "another's name": (at("Skywork__Best"), "it is a result of org/m on demo"),
        "another benchmark": (
            {k.replace("/demo/", "/rewardbench/"): v for k, v in at("org__m").items()},
            "it is a result of org/m on demo",
        ),
        "no benchmark of ours": (at("org__m", unknown), "os:system"),
        "a newer schema": (at("org__m", damaged(result, schema=99)), "update rmeval"),
        "a way out": (at(".."), "a name that is none of rmeval's"),
        "hidden": (at(".git"), "a name that is none of rmeval's"),
        "a control character": (at("a\x1b[31m"), "a name that is none of rmeval's"),
        "a long name": (at("m" * 250), "a name that is none of rmeval's"),
    }


CASES = list(hostile({f"{PLACE}/{n}": b'{"metrics": {}}' for n in BOTH}, Path()))


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_what_it_says_is_refused(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture, case: str
) -> None:
    files, words = hostile(contents(mine / "demo" / "org__m"), tmp_path)[case]
    good = keep(tmp_path / "good", model="org/good")
    lab.files(REPO).update({**files, **contents(good, "results/demo/org__good")})
    output = tmp_path / "deep" / "results"
    out = pulled(capsys, output, 1)
    (line,) = (line for line in out.splitlines() if line.startswith("refused: "))
    assert words in line
    assert line.isprintable()
    assert str(tmp_path / "cache") not in line
    assert [p.parent.name for p in tmp_path.glob("deep/**/*.json")] == ["org__good"]


def test_what_is_too_large_is_not_even_asked_for(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    lab.files(REPO).update(contents(mine / "demo" / "org__m"))
    lab.sizes[f"{PLACE}/scores.jsonl"] = MOST_BYTES["scores.jsonl"] + 1
    out = pulled(capsys, tmp_path / "results", 1)
    assert "scores.jsonl has 1,073,741,825 bytes; more than 1,073,741,824 are not read" in out
    assert not any("resolve" in line for line in lab.asked)


def test_what_is_sent_is_held_to_the_hubs_own_hash(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    lab.files(REPO).update(contents(mine / "demo" / "org__m"))
    path = f"{PLACE}/result.json"
    lab.sent[path] = lab.files(REPO)[path].replace(b'"org/m"', b'"org/n"')
    assert f"{path} is not what the Hub lists" in pulled(capsys, tmp_path / "results", 1)


def test_other_files_of_a_repository_are_left_alone(
    lab: FakeHub, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    others = (
        "results/x.json",
        "results/demo/result.json",
        f"{PLACE}/check.md",
        "a/b/c/result.json",
    )
    lab.files(REPO).update(contents(mine / "demo" / "org__m"))
    lab.files(REPO).update(dict.fromkeys(others, b"x"))
    pulled(capsys, tmp_path / "results")
    kept = sorted(p.name for p in (tmp_path / "results").rglob("*") if p.is_file())
    assert kept == ["result.json", "scores.jsonl"]


def test_one_model_with_other_weights_is_pointed_out(
    lab: FakeHub, tmp_path: Path, capsys: Capture
) -> None:
    for place, fingerprint in (("org__m", "a"), ("org__m@main", "b")):
        folder = keep(tmp_path / place, **settings(revision="c0ffee", fingerprint=fingerprint))
        lab.files(REPO).update(contents(folder, f"results/demo/{place}"))
    out = pulled(capsys, tmp_path / "results")
    assert "beware: org/m: weights of 2 fingerprints, in " in out


def test_no_such_repository_is_one_line(lab: FakeHub, mine: Path, capsys: Capture) -> None:
    for command in (("pull", "lab/none"), ("push", mine, "--results", "lab/none")):
        assert "the Hub has no dataset lab/none (or it is private)" in refusal(capsys, *command)
    assert "is not a repository on the Hub, ORG/NAME" in refusal(capsys, "pull", "../x")


def test_python_pushes_and_pulls(lab: FakeHub, mine: Path, tmp_path: Path) -> None:
    plan = rmeval.push(mine, repository=REPO, dry_run=True)
    assert [item.folder for item in plan.items] == [PLACE]
    assert not written(lab.asked)
    rmeval.push(mine, repository=REPO, direct=True)
    (item,) = rmeval.pull(REPO, tmp_path / "results")
    assert item.outcome is Outcome.NEW
    assert item.result == rmeval.read_result(tmp_path / "results" / "demo" / "org__m")


@pytest.mark.parametrize(
    "model", ["org/m", "demo", "judge:gpt-4o", "judge:org/m", "./no/such/step-9", "ensemble of 2"]
)
def test_a_models_folder_has_the_same_name_on_every_machine(model: str) -> None:
    if not model.startswith("."):
        assert run_folder(Path(), "b", model).name == model_label(model)
    assert is_named_for(model_label(model), model)
    assert folder_name(model_label(model)) == model_label(model)


@pytest.mark.parametrize(
    ("folder", "model", "said"),
    [
        ("checkpoints__step-9", "./checkpoints/step-9", True),
        ("checkpoints__step-9", "/home/me/checkpoints/step-9", True),
        ("work__step-9", "step-9", True),
        ("org__m@step3000", "org/m", True),
        ("org__m-0123abcd", "org/m", True),
        ("org__gpt-20240620", "org/gpt-20240620", True),
        ("org__m2", "org/m", False),
        ("new", "org/m", False),
        ("org__m", "org/n", False),
    ],
)
def test_a_folder_is_named_for_its_model(folder: str, model: str, said: bool) -> None:
    assert is_named_for(folder, model) is said
