"""What the documents show works as they show it."""

import re
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import copy_golden, edit_config, read_tensors, write_tensors
from torch import nn

import rmeval
from rmeval.cli import VERBS, main
from rmeval.judging.format_files import read_format
from rmeval.models import FAMILIES
from rmeval.models.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed
from rmeval.models.heads import linear_head
from rmeval.registry import Entry

ROOT = Path(__file__).parents[1]
IMPORTS = {
    "torch": torch,
    "nn": nn,
    "Checkpoint": Checkpoint,
    "Family": Family,
    "Placed": Placed,
    "linear_head": linear_head,
    "Entry": Entry,
}


def code_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.S)


def test_the_family_in_architecture_md_loads_its_checkpoints(tmp_path, monkeypatch):
    """A plain classifier whose head is called as the document's example calls it."""
    example, line = code_blocks("ARCHITECTURE.md")
    assert example in (ROOT / "rmeval" / "models" / "ultrarm.py").read_text()
    names = dict(IMPORTS)
    exec(example, names)
    entry = eval(line, names)
    assert entry in list(FAMILIES)
    module = type(sys)("rmeval.models.ultrarm")
    module.UltraRM = names["UltraRM"]
    monkeypatch.setitem(sys.modules, "rmeval.models.ultrarm", module)
    monkeypatch.setitem(FAMILIES._entries, entry.name, entry)
    folder = copy_golden("seqcls", tmp_path)
    tensors = read_tensors(folder)
    tensors["regression_head.weight"] = tensors.pop("score.weight")
    write_tensors(folder, tensors)
    edit_config(folder, architectures=["LlamaRewardModel"])
    model = rmeval.load_model(str(folder), device="cpu")
    assert model.family.name == "ultrarm"
    assert model.score_tokens([[1, 509]]) == pytest.approx([-2.6368138790130615], abs=5e-5)


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "configs/README.md",
        "docs/adding-a-model.md",
        "docs/gate.md",
        "docs/judges.md",
        "docs/use.md",
        "docs/reading.md",
    ],
)
def test_every_verb_that_a_document_types_is_a_verb(document):
    typed = re.findall(r"^    rmeval ([\w-]+)", (ROOT / document).read_text(), re.M)
    assert set(typed) <= VERBS.keys()


def test_the_prompt_format_in_judges_md_is_one(tmp_path):
    example = re.search(r"```toml\n(.*?)```", (ROOT / "docs/judges.md").read_text(), re.S)
    (tmp_path / "brief.toml").write_text(example[1])
    brief = read_format(str(tmp_path / "brief.toml"))
    assert brief.verdict.tie == "BEST=SAME"
    assert brief.several != brief.single


def test_every_recipe_is_a_command_line(capsys):
    from rmeval.cli import main

    for recipe in sorted((ROOT / "configs/reproduce").glob("*.toml")):
        assert main(["run", "--config", str(recipe), "--weighting", "none"]) == 2
        assert "unknown weighting 'none'" in capsys.readouterr().err


def test_the_example_in_the_readme_is_what_a_run_prints(capsys, tmp_path):
    shown = (ROOT / "README.md").read_text().split("```\ndemo on demo")[1].split("```")[0]
    assert main(["run", "--device", "cpu", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.removeprefix("demo on demo")
    # The last two lines have the seconds and the folder.
    assert printed.splitlines()[:-2] == shown.splitlines()[:-2]
