"""Every verb that scores makes the cheap checks first, unless it is told not to."""

import json

import pytest
from command_line import done, refusal, small_model

DROPPING = "{% for m in messages %}<|{{ m.role }}|>{% endfor %}"
TALK = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes."}]


@pytest.mark.parametrize("verb", ["score", "rank", "filter"])
def test_every_verb_that_scores_refuses_it_too(tmp_path, capsys, verb):
    folder = small_model(tmp_path / "m")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": DROPPING}))
    row = {"messages": TALK} if verb == "score" else {"prompt": "x", "responses": ["a", "b"]}
    row = {"prompt": "x", "chosen": "a", "rejected": "b"} if verb == "filter" else row
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    command = (verb, "--model", folder, "--device", "cpu", *files)
    assert "drops the user message" in refusal(capsys, *command)
    done(capsys, *command, "--no-checks")
    assert (tmp_path / "out.jsonl").exists()
