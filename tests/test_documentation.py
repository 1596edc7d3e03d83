"""What the documents show works as they show it."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import copy_golden, edit_config, read_tensors, write_tensors
from torch import nn

import rmeval
from rmeval.cli import EXAMPLES, VERBS, Parser, main
from rmeval.judging.format_files import read_format
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families import FAMILIES
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed
from rmeval.registry import Entry

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "configs/README.md", *sorted((ROOT / "docs").glob("*.md"))]
ABOUT_SCRIPTS = [
    *DOCUMENTS,
    *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", ".ci/run")),
    *sorted((ROOT / "scripts").rglob("README.md")),
    *sorted((ROOT / "tests").glob("*/README.md")),
]
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
    assert example in (ROOT / "rmeval/models/families/ultrarm.py").read_text()
    names = dict(IMPORTS)
    exec(example, names)
    entry = eval(line, names)
    assert entry in list(FAMILIES)
    module = type(sys)("rmeval.models.families.ultrarm")
    module.UltraRM = names["UltraRM"]
    monkeypatch.setitem(sys.modules, "rmeval.models.families.ultrarm", module)
    monkeypatch.setitem(FAMILIES._entries, entry.name, entry)
    folder = copy_golden("seqcls", tmp_path)
    tensors = read_tensors(folder)
    tensors["regression_head.weight"] = tensors.pop("score.weight")
    write_tensors(folder, tensors)
    edit_config(folder, architectures=["LlamaRewardModel"])
    model = rmeval.load_model(str(folder), device="cpu")
    assert model.family.name == "ultrarm"
    assert model.score_tokens([[1, 509]]) == pytest.approx([-2.6368138790130615], abs=5e-5)


class Parsed(Exception):
    """A command line was taken by its verb's own parser; nothing was run."""


@pytest.fixture
def only_parse(monkeypatch):
    """Verbs end where their parser has taken the command line."""

    def parse(self, arguments):
        argparse.ArgumentParser.parse_args(self, arguments)
        raise Parsed

    monkeypatch.setattr(Parser, "parse_args", parse)
    monkeypatch.chdir(ROOT)  # recipes are read


def commands_in(document: Path) -> list[list[str]]:
    """The command lines of a document, words each, from the verb on; under a launcher too."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    text = text.replace("    scripts/run ", "    rmeval run ")
    indented = re.findall(r"^    (rmeval .*|(?:accelerate|torchrun) .*)$", text, re.M)
    lines = [shlex.split(line, comments=True) for line in indented]
    return [line[line.index("rmeval") + 1 :] for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_shows_is_taken_by_its_verb(document, only_parse, capsys):
    for words in commands_in(document):
        with pytest.raises(Parsed):
            assert main(words) == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"


def test_commands_are_found_and_read(tmp_path, only_parse, capsys):
    document = tmp_path / "a.md"
    document.write_text("    accelerate launch \\\n        -m rmeval run --modle m  # why\n")
    assert commands_in(document) == [["run", "--modle", "m"]]
    assert main(["run", "--modle", "m"]) == 2
    assert "did you mean --model?" in capsys.readouterr().err
    assert len(commands_in(ROOT / "README.md")) > 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_verb_that_a_document_names_is_a_verb(document):
    named = re.findall(r"`rmeval ([a-z][\w-]*)", document.read_text(encoding="utf-8"))
    assert set(named) <= VERBS.keys()


@pytest.mark.parametrize("document", ABOUT_SCRIPTS, ids=lambda path: f"{path.relative_to(ROOT)}")
def test_every_script_that_a_document_names_is_there_and_knows_its_flags(document):
    """scripts/run hands its options to `rmeval run`, and those are parsed above."""
    text = document.read_text(encoding="utf-8")
    for name, rest in re.findall(r"(?<![\w/.])scripts/([\w./]*\w)([^`\n#]*)", text):
        script = ROOT / "scripts" / name
        assert script.exists(), name
        for word in rest.split() if name != "run" else ():
            assert not word.startswith("--") or word in script.read_text(encoding="utf-8"), word
            assert not word.startswith("tests/") or (ROOT / word).exists(), word


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(document):
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_guide_is_reached_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert guides == set(re.findall(r"\]\((docs/[\w-]+\.md)", readme))


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example_that_it_takes(verb, capsys, only_parse, monkeypatch):
    assert EXAMPLES.keys() == VERBS.keys()
    for example in EXAMPLES[verb]:
        name, *words = shlex.split(example)
        assert (name, words[0]) == ("rmeval", verb)
        with pytest.raises(Parsed):
            assert main(words) == 0, f"{example}: {capsys.readouterr().err}"
    monkeypatch.undo()
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    shown = "".join(f"  {example}\n" for example in EXAMPLES[verb])
    assert capsys.readouterr().out.endswith(f"\nexample:\n{shown}")


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
    # The last four lines have seconds and the folder.
    *lines, _, kept, spent, after = printed.splitlines()
    *lines_shown, _, kept_shown, spent_shown, after_shown = shown.splitlines()
    assert "is not scoring" in spent
    assert "is not scoring" in spent_shown
    assert lines == lines_shown
    folder = str(tmp_path / "demo/demo")
    assert kept == kept_shown.replace("results/demo/demo", folder)
    assert after == after_shown.replace("results/demo/demo", folder)
