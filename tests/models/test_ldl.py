"""LDL-Reward, saved and scored by its authors' class: tests/golden_ldl (scripts/golden/ldl.py)."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from checkpoints import TOLERANCE, edit_config
from safetensors.torch import save_file

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.known import find_known
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.families import detect_family

LDL = Path(__file__).parents[1] / "golden_ldl"
ROWS = [json.loads(line) for line in (LDL / "cases.jsonl").read_text().splitlines()]
IDS, SCORES = [row["input_ids"] for row in ROWS], [row["score"] for row in ROWS]
HEADS = ("regression_layer", "gating_layer")


def load(folder, **options):
    return rmeval.load_model(folder, device="cpu", **{"allow_pickle": True, **options})


def near(expected):
    return pytest.approx(expected, abs=TOLERANCE, rel=0)


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(LDL, tmp_path / "model"))


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize("batch_tokens", [1, 10**6])
def test_scores_are_the_authors_whatever_the_batching(engine, batch_tokens):
    model = load(LDL, engine=engine, batch_tokens=batch_tokens)
    assert (model.family.name, len(SCORES)) == ("ldl", 32)
    assert model.score_tokens(IDS) == near(SCORES)


def test_the_objectives_are_the_means_of_the_distributions():
    model = load(LDL)
    body = model.network.backbone
    states = torch.cat([body(torch.tensor([ids])).last_hidden_state[:, -1] for ids in IDS[:8]])
    found = model.network.head(states).tolist()
    assert [row[0] for row in found] == near(SCORES[:8])
    assert [row[1:] for row in found] == [near(row["objectives"]) for row in ROWS[:8]]
    assert model.family.objectives() == tuple(f"objective {n}" for n in (1, 2, 3, 4))


def test_the_weights_may_be_a_softmax(folder):
    """GatingNN's `softmax` and `temperature`, which config.json may set."""
    edit_config(folder, softmax=True, temperature=2.0)
    gate = load(LDL).network.head.gating_layer
    model = load(folder)
    body = model.network.backbone
    for row in ROWS[:4]:
        state = body(torch.tensor([row["input_ids"]])).last_hidden_state[:, -1]
        weights = torch.softmax(gate(state) / 2, -1)[0]
        expected = float(weights @ torch.tensor(row["objectives"]))
        assert model.score_tokens([row["input_ids"]]) == near([expected])


def test_its_pickles_want_trust_and_safetensors_do_not(folder):
    with pytest.raises(BadCheckpoint, match=r"\(regression_layer\.pt, gating_layer\.pt\) only in"):
        load(folder, allow_pickle=False)
    for head in HEADS:
        save_file(torch.load(folder / f"{head}.pt"), folder / f"{head}.safetensors")
        (folder / f"{head}.pt").unlink()
    assert load(folder, allow_pickle=False).score_tokens(IDS) == near(SCORES)


def test_without_its_heads_its_name_says_what_to_pass(folder):
    for head in HEADS:
        (folder / f"{head}.pt").unlink()
    with pytest.raises(BadCheckpoint, match="no model adapter for architecture"):
        load(folder)
    named = folder.rename(folder.parent / "LDL-Reward-Gemma-2-27B-v0.1")
    with pytest.raises(BadCheckpoint, match=r"gating_layer\.pt, which are not here, .*`allow_pic"):
        load(named)


def test_heads_of_other_sizes_than_each_others_are_refused(folder):
    held = torch.load(folder / "gating_layer.pt")
    cut = {key: weight[:3] if ".6." in key else weight for key, weight in held.items()}
    torch.save(cut, folder / "gating_layer.pt")
    with pytest.raises(BadCheckpoint, match="gives 40 numbers, not 10 for each of the 3 weights"):
        load(folder)


def test_it_is_known_by_its_name():
    known = find_known("ShikaiChen/LDL-Reward-Gemma-2-27B-v0.1")
    assert (known.family, known.policy) == ("ldl", "once")
    assert detect_family(open_checkpoint(str(LDL), allow_pickle=True)).name == "ldl"
