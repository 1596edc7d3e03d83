"""`rmeval agreement`: judges among each other, with a reward model, and with themselves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from loopback import Loopback, choices, serving

import rmeval


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch) as running:
        yield running


def test_judges_and_a_reward_model_are_laid_beside_each_other(
    server: Loopback, capsys: Capture, tmp_path: Path
) -> None:
    data = tmp_path / "mine.jsonl"
    lines = [{"prompt": f"q{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(8)]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out"
    where = ("--endpoint", server.url, "--benchmark", data, "--output", out)
    server.answer = lambda asked: choices("[[A]]")
    done(capsys, "run", "--model", "judge:first", *where)
    server.answer = lambda asked: choices("[[A]]" if asked["seed"] < 2 else "[[B]]")
    sampled = ("--samples", "3", "--temperature", "1")
    done(capsys, "run", "--model", "judge:wavers", *where, *sampled)
    done(capsys, "run", "--model", "demo", "--benchmark", data, "--output", out)
    folders = [
        out / "mine" / name
        for name in (
            "judge-first@rewardbench",
            "judge-wavers@rewardbench-t1-3-samples",
            "demo",
        )
    ]
    text, _ = done(capsys, "agreement", *folders, "--plot", tmp_path / "kappa.svg")
    assert "A  judge:first" in text
    found = rmeval.agreement(*folders)
    assert found.alpha is not None
    assert f"Krippendorff's alpha of all, nominal: {found.alpha.value:.3f}" in text
    assert repr(found).startswith("<Agreement of 3 results, ")
    table = [line.split() for line in text.splitlines() if line.startswith(("A ", "B ", "C "))]
    assert ["A", "100.0", "(100.0", "to", "100.0)", "50.0"] in table
    assert "66.7 (66.7 to 66.7)" in text  # two of three samples for the first in either order
    assert "33.3 (33.3 to 33.3)" in text  # one of the three pairs of samples says the same
    assert "Cohen's kappa" in (tmp_path / "kappa.svg").read_text()
    document = json.loads(done(capsys, "agreement", *folders, "--json")[0])
    assert [pair["rows"] for pair in document["pairs"]] == [8, 8, 8]
    assert document["judges"][0]["first"]["value"] == 1.0
    assert document["judges"][2] == {
        "result": str(folders[2]), "first": None, "first_even": None, "samples": None
    }  # fmt: skip
    compared, _ = done(capsys, "compare", folders[0], folders[2])
    assert "agreement: the same best response in " in compared
    figures, _ = done(capsys, "plot", *folders, "--output", tmp_path / "figures", "--format", "svg")
    drawn = tmp_path / "figures/agreement.svg"
    assert str(drawn) in figures
    assert "judge:wavers" in drawn.read_text()
    assert "ends in .png, .svg, .pdf" in refusal(
        capsys, "agreement", *folders, "--plot", tmp_path / "kappa.docx"
    )
