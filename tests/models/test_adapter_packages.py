"""Families of other packages, which rmeval finds by their entry points."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from checkpoints import (
    copy_golden,
    edit_config,
    golden_cases,
    load_golden,
    read_tensors,
    write_tensors,
)
from conftest import GOLDEN
from installed import install

import rmeval
from rmeval.cli import main
from rmeval.errors import BadPlugin, UnknownName
from rmeval.registry import Entry, Registry

GROUP = "rmeval.families"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "adding-a-model.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    return found


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's package, installed beside rmeval."""
    project = tomllib.loads(block("toml"))["project"]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "my_rewards.py").write_text(block("python"), encoding="utf-8")
    points = project["entry-points"][GROUP]
    install(tmp_path / "site", project["name"], GROUP, points, monkeypatch)
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A plain classifier whose head is called as the document's example calls it."""
    folder = copy_golden("seqcls", tmp_path / "model")
    tensors = read_tensors(folder)
    tensors["reward_head.weight"] = tensors.pop("score.weight")
    write_tensors(folder, tensors)
    edit_config(folder, architectures=["MyRewardModel"])
    return folder


def test_the_documents_example_is_under_40_lines() -> None:
    assert len(block("python").splitlines()) < 40


@pytest.mark.usefixtures("documented")
def test_the_documents_package_loads_its_checkpoint_and_scores_it(checkpoint: Path) -> None:
    model = rmeval.load_model(str(checkpoint), device="cpu")
    assert model.family.name == "my-reward"
    sequences, scores = golden_cases(GOLDEN / "seqcls")
    assert model.score_tokens(sequences) == pytest.approx(scores, abs=5e-5)


@pytest.mark.usefixtures("documented")
def test_the_list_of_adapters_names_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "adapters"]) == 0
    line = next(li for li in capsys.readouterr().out.splitlines() if li.startswith("my-reward "))
    assert line.split() == ["my-reward", "from", "my-rewards", "1.0"]


def test_without_the_package_nothing_claims_the_checkpoint(checkpoint: Path) -> None:
    with pytest.raises(rmeval.RmevalError, match=r"in 40 lines: docs/adding-a-model\.md$"):
        rmeval.load_model(str(checkpoint))


def test_a_name_of_rmevals_own_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "their-models", GROUP, {"grm": "theirs:GRM"}, monkeypatch)
    assert main(["list", "adapters"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "rmeval: two model adapters are called 'grm': rmeval.models.families.grm:GRM and "
        "theirs:GRM of their-models 1.0; uninstall one of them"
    ]


def test_a_name_of_two_packages_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "1", "one-models", GROUP, {"new": "one:New"}, monkeypatch)
    install(tmp_path / "2", "two-models", GROUP, {"new": "two:New"}, monkeypatch)
    registry = Registry("fake", [Entry("old", "rmeval.errors:RmevalError", "")], GROUP)
    with pytest.raises(BadPlugin) as refused:
        list(registry)
    assert "one:New of one-models 1.0" in str(refused.value)
    assert "two:New of two-models 1.0" in str(refused.value)


def test_nothing_is_imported_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "lazy", GROUP, {"lazy": "rmeval_lazy_adapter:Lazy"}, monkeypatch)
    (tmp_path / "rmeval_lazy_adapter.py").write_text("Lazy = 7\n")
    registry = Registry("fake", [], GROUP)
    assert [entry.name for entry in registry] == ["lazy"]
    assert "rmeval_lazy_adapter" not in sys.modules
    assert registry.load("lazy") == 7
    with pytest.raises(UnknownName, match="did you mean 'lazy'"):
        registry.load("lasy")
    monkeypatch.delitem(sys.modules, "rmeval_lazy_adapter")


BROKEN = {
    "absent": ("nowhere_at_all:X", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    "without": ("rmeval.errors:Nothing", "has no attribute 'Nothing'"),
    "no-class": ("rmeval.errors", "ValueError"),
    "other": (
        "rmeval.errors:RmevalError",
        "rmeval.errors:RmevalError of broken 1.0 is not a subclass",
    ),
    "abstract": ("rmeval.models.family:Family", "with all its abstract methods"),
    "renamed": (
        "rmeval.models.families.grm:GRM",
        "calls itself 'grm' and is registered as 'renamed'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_adapter_that_cannot_be_used_names_its_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, complaint = BROKEN[name]
    install(tmp_path, "broken", GROUP, {name: target}, monkeypatch)
    with pytest.raises(BadPlugin) as refused:
        rmeval.load_model(str(GOLDEN / "seqcls"))
    assert "of broken 1.0" in str(refused.value)
    assert complaint in str(refused.value)


@pytest.mark.usefixtures("documented")
def test_other_checkpoints_are_what_they_were() -> None:
    load_golden.cache_clear()
    assert load_golden("seqcls").family.name == "classifier"
