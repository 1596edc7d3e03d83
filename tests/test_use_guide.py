"""What docs/use.md shows works as it shows it, on tiny models."""

import doctest
import json
import re
import shlex
import sys
from pathlib import Path

import pyarrow.json
import pytest

sys.path.append(str(Path(__file__).parent / "commands"))

from command_line import small_model
from loopback import Loopback
from tiny_generator import tiny_generator

from rmeval.cli import VERBS, main

GUIDE = (Path(__file__).parents[1] / "docs/use.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in GUIDE.splitlines() if line.startswith("    rmeval ")]
PROMPTS = [{"prompt": f"How do I boil {n} eggs?"} for n in range(6)]


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Tiny models for those that the guide names, in the folder where its commands are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROMPTS))
    return {
        "internlm/internlm2-7b-reward": "demo",
        "Qwen/Qwen2.5-7B-Instruct": str(tiny_generator(tmp_path / "generator")),
        "Skywork/Skywork-Reward-V2-Llama-3.1-8B": str(small_model(tmp_path / "second")),
        "MODEL": "demo",
    }


def typed(command, stand_ins, *more):
    """Runs a command of the guide; returns its status."""
    words = [stand_ins.get(word, word) for word in shlex.split(command)]
    return main([*words[1:], *more])


def rows(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_every_command_is_of_a_verb():
    assert len(COMMANDS) == 10
    assert {command.split()[1] for command in COMMANDS} <= VERBS.keys()


def test_from_prompts_to_a_dpo_ready_file_in_four_commands(stand_ins, capsys):
    first_four = GUIDE.split("in four commands\n")[1].split("1. `doctor`")[0]
    doctor, best_of_n, pairs, keep = [c for c in COMMANDS if c in first_four]
    assert typed(doctor, stand_ins) == 0
    assert typed(best_of_n, stand_ins, "--max-new-tokens", "8") == 0
    assert typed(pairs, stand_ins) == 0
    assert typed(keep, stand_ins) == 0
    ranked = rows("drawn/ranked.jsonl")
    assert [len(line["responses"]) for line in ranked] == [10] * 6
    kept, others = rows("dpo.jsonl"), rows("disagreements.jsonl")
    assert len(kept) + len(others) == len(rows("preferences/train.jsonl")) == 6
    assert kept  # six coins that all fall on one side would be bad luck, with a fixed seed
    table = pyarrow.json.read_json("dpo.jsonl")
    assert table.column_names[:3] == ["prompt", "chosen", "rejected"]
    for row in table.to_pylist():
        assert [message["role"] for message in row["prompt"]] == ["user"]
        for side in ("chosen", "rejected"):
            assert [message["role"] for message in row[side]] == ["assistant"]
        assert row["chosen"] != row["rejected"]
        assert row["score_margin"] > 0


def test_the_other_commands(stand_ins, capsys, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Path("candidates.jsonl").write_text(json.dumps({"prompt": "q", "responses": ["a", "b c"]}))
    rank, best_of_n, checked, pairs, margin, top = COMMANDS[4:]
    assert typed(rank, stand_ins) == 0
    with Loopback().run() as server:
        assert typed(best_of_n, {**stand_ins, "http://localhost:8000/v1": server.url}) == 0
    assert len(rows("drawn/best.jsonl")) == 6
    sums = [{"prompt": f"{n} + 1?", "answer": n + 1} for n in range(3)]
    Path("gsm8k.jsonl").write_text("".join(json.dumps(line) + "\n" for line in sums))
    assert typed(checked, stand_ins, "--max-new-tokens", "8", "--output", "checked") == 0
    assert len(rows("checked/ranked.jsonl")[0]["correct"]) == 16
    assert typed(pairs, stand_ins, "--min-margin", "0") == 0
    Path("pairs.jsonl").write_text(json.dumps({"prompt": "q", "chosen": "a", "rejected": "b"}))
    assert typed(margin, stand_ins) == 0
    assert typed(top, stand_ins) == 0


def test_the_defaults_are_those_that_the_guide_names():
    from rmeval.records import Sampling

    assert "temperature 0.8, top_k 50, top_p 0.95, 512 new\ntokens, N = 10" in GUIDE
    assert Sampling() == (10, 0.8, 50, 0.95, 512, 0)


def test_python_prints_what_the_guide_says():
    blocks = "\n".join(re.findall(r"```pycon\n(.*?)```", GUIDE, re.S))
    test = doctest.DocTestParser().get_doctest(blocks, {}, "use.md", "docs/use.md", 0)
    assert len(test.examples) > 12
    assert doctest.DocTestRunner().run(test).failed == 0


def test_python_that_needs_trl_is_python():
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    compile(block, "docs/use.md", "exec")
