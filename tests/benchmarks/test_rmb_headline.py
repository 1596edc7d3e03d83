"""RMB's headline: its two benchmarks joined, held to what RM-R1's authors published."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from measured import keep, measured
from scored_rows import fill

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.joints import find_joints, join_results
from rmeval.benchmarks.rmb import BON_ROWS, JOINT_SCHEME, PAIRWISE_ROWS
from rmeval.cli import main
from rmeval.errors import BadData
from rmeval.metrics.summary import describe_scores
from rmeval.records import ScoredPreference

MODELS = {"DeepSeek-Distilled-Qwen-32B": 69.77, "Qwen2.5-Instruct-32B": 73.01}
NAMES = ("rmb-pairwise", "rmb-bon")


def published(folder: Path, kind: str, rows: dict[str, int]) -> list[ScoredPreference]:
    """As many wins in each scenario as the published accuracy says."""
    accuracies = {}
    for section in ("Helpfulness", "Harmlessness"):
        document = json.loads((folder / f"rmb-{kind}_{section}.json").read_text())
        accuracies |= {name.removeprefix(f"{kind}/"): v for name, v in document[1].items()}
    assert accuracies.keys() == rows.keys()
    wins = {name: accuracies[name] * n for name, n in rows.items()}
    assert all(abs(won - round(won)) < 1e-6 for won in wins.values())
    return fill({name: (round(wins[name]), n) for name, n in rows.items()})


def results(folder: Path, pairs: list[ScoredPreference], best: list[ScoredPreference]) -> list[str]:
    """Two results on disk, as `rmeval run` leaves them; their folders."""
    found = []
    for name, rows in zip(NAMES, (pairs, best), strict=True):
        metrics = describe_scores(scheme_of(name), rows)
        made = {"benchmark": name, "definition": name, "weighting": "rows"}
        one = replace(measured(), **made, metrics=metrics, scored=tuple(rows))
        found.append(str(keep(folder / name, one)))
    return found


@pytest.mark.parametrize("model", MODELS)
def test_aggregate_gives_the_published_headline(model, shared, tmp_path, capsys) -> None:
    items = shared / "published" / "items" / "rm-r1" / f"RM-R1-{model}"
    pairs = published(items, "Pairwise_set", PAIRWISE_ROWS)
    best = published(items, "BoN_set", BON_ROWS)
    folders = results(tmp_path, pairs, best)
    assert main(["aggregate", "--json", *folders]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    four = json.loads((items / "rmb.json").read_text())
    assert 100 * found["overall"] == pytest.approx(MODELS[model], abs=0.005)
    assert found["overall"] == pytest.approx(four["Accuracy Averaged from Four Sections"], abs=1e-9)
    for kind, word in (("pairwise", "Pairwise"), ("BoN", "BoN")):
        for section in ("Helpfulness", "Harmlessness"):
            assert found[f"section/{section}/{kind}"] == pytest.approx(four[f"{word} {section}"])
    assert main(["aggregate", *folders]) == 0
    assert f"{MODELS[model]:.1f} (" in capsys.readouterr().out


def test_the_four_count_alike_whatever_their_rows() -> None:
    helpful = {name: n for name, n in PAIRWISE_ROWS.items() if "Helpfulness" in name}
    lost = {f"pairwise/{name}": (0, n) for name, n in helpful.items()}
    won = {name: (n, n) for name, n in JOINT_SCHEME.rows.items()}
    values = JOINT_SCHEME.tally(fill({**won, **lost})).values
    assert (values["overall"], values["section/Helpfulness"]) == (0.75, 0.5)
    assert values["section/Helpfulness/pairwise"] == 0.0


def test_rows_of_both_sets_stay_apart_and_a_part_leaves_no_score(tmp_path) -> None:
    (joint,) = find_joints({*NAMES, "demo"})
    few = dict.fromkeys(PAIRWISE_ROWS, (1, 1))
    one, other = (replace(measured(), definition=n, scored=tuple(fill(few))) for n in NAMES)
    joined = joint.join([other, one])
    assert len({row.id for row in joined.scored}) == 98
    assert joined.benchmark == "rmb-pairwise with rmb-bon"
    assert "overall" not in JOINT_SCHEME.tally(joined.scored).values


def test_two_that_make_no_score_together_are_refused(tmp_path) -> None:
    with pytest.raises(BadData, match="rewardbench and on prior-sets, or on rmb-pairwise"):
        join_results([replace(measured(), definition="rmb-bon"), measured()])
