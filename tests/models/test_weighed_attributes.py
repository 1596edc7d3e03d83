"""URM, against its formula written out in float64, and what becomes of its objectives."""

import json

import pytest
import torch
from checkpoints import copy_golden, edit_config, golden_cases, read_tensors, write_tensors
from conftest import GOLDEN
from readable import add_tokenizer

import rmeval
from rmeval.cli import main
from rmeval.engine.scoring import score_rows
from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.families import detect_family
from rmeval.results.files import read_result

HIDDEN, ATTRIBUTES = 32, 5
ARCHITECTURE = "LlamaForSequenceClassificationWithNormal_Weights"
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # arXiv 1706.02515
IDS = golden_cases(GOLDEN / "ultrarm")[0][:8]


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / shape[-1] ** 0.5


def make(folder, remove=(), **tensors):
    """The golden UltraRM's body under a URM's heads."""
    copy_golden("ultrarm", folder)
    edit_config(folder, architectures=[ARCHITECTURE], num_labels=2 * ATTRIBUTES)
    heads = {"score.weight": normal(2 * ATTRIBUTES, HIDDEN, seed=1)}
    for layer, rows in ((0, HIDDEN), (2, HIDDEN), (4, ATTRIBUTES)):
        heads[f"weights.fc.{layer}.weight"] = 2 * normal(rows, HIDDEN, seed=10 + layer)
        heads[f"weights.fc.{layer}.bias"] = normal(rows, seed=20 + layer)
    kept = {k: w for k, w in read_tensors(folder).items() if k != "regression_head.weight"}
    found = {**kept, **heads, **tensors}
    write_tensors(folder, {key: w for key, w in found.items() if key not in remove})
    return folder


def by_hand(folder, state):
    """Returns the means of the attributes, and their weighted sum."""
    heads = {key: tensor.double() for key, tensor in read_tensors(folder).items()}
    rows = heads["score.weight"].reshape(ATTRIBUTES, 2, HIDDEN)  # mean, deviation
    means = rows[:, 0] @ state
    inner = state
    for layer in (0, 2, 4):
        inner = heads[f"weights.fc.{layer}.weight"] @ inner + heads[f"weights.fc.{layer}.bias"]
        if layer < 4:
            below = SELU_ALPHA * (inner.exp() - 1)
            inner = SELU_SCALE * torch.where(inner > 0, inner, below)
    return means.tolist(), float((means * inner).sum())


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_rewards_and_attributes_are_the_formulas(tmp_path, engine):
    folder = make(tmp_path)
    model = load(folder, engine=engine)
    assert model.family.name == "urm"
    rows = score_rows(model.network, IDS, model.engine)
    for ids, (reward, *means) in zip(IDS, rows, strict=True):
        with torch.inference_mode():
            state = model.network.backbone(torch.tensor([ids])).last_hidden_state[0, -1].double()
        expected_means, expected = by_hand(folder, state)
        assert means == pytest.approx(expected_means, abs=2e-5)
        assert reward == pytest.approx(expected, abs=1e-4)
    assert max(rows)[0] - min(rows)[0] > 0.1
    assert model.score_tokens(IDS) == [row[0] for row in rows]


def test_its_weights_alone_do_not_claim_it(tmp_path):
    folder = make(tmp_path)
    edit_config(folder, architectures=["LlamaForCausalLM"])
    with pytest.raises(BadCheckpoint, match=r"looks like urm; .*pass `family='urm'`"):
        detect_family(open_checkpoint(str(folder)))
    assert load(folder, family="urm").score_tokens(IDS) == load(make(tmp_path)).score_tokens(IDS)


@pytest.mark.parametrize("lost", ["weights.fc.2.weight", "weights.fc.4.bias", "model.norm.weight"])
def test_without_a_weight_it_is_never_scored(tmp_path, lost):
    with pytest.raises(BadCheckpoint, match="missing"):
        load(make(tmp_path, remove=[lost]))


def test_means_without_deviations_are_refused(tmp_path):
    folder = make(tmp_path, **{"score.weight": torch.ones(5, HIDDEN)})
    with pytest.raises(
        BadCheckpoint, match=r"score\.weight has 5 rows, not a mean and a deviation"
    ):
        load(folder)


def test_weights_of_another_number_of_attributes_are_refused(tmp_path):
    folder = make(tmp_path, **{"score.weight": torch.ones(8, HIDDEN)})
    with pytest.raises(BadCheckpoint, match=r"weights\.fc\.4\.weight gives 5 labels; 4 are needed"):
        load(folder)


@pytest.fixture
def readable_urm(tmp_path):
    folder = make(tmp_path / "urm")
    add_tokenizer(folder)
    return folder


def test_a_result_keeps_the_objectives_of_every_response_and_what_they_are_called(
    readable_urm, tmp_path
):
    model, demo = load(readable_urm, max_length=300), rmeval.load_benchmark("demo").limited(3)
    first = rmeval.evaluate(model, demo, output=tmp_path)
    assert {len(score.objectives) for item in first.scored for score in item.scores} == {ATTRIBUTES}
    again = rmeval.evaluate(model, demo, output=tmp_path)  # out of the store
    assert again.scored == first.scored == read_result(again.folder).scored
    names = [f"objective {number}" for number in range(1, 6)]
    assert again.provenance["model"]["objectives"] == names
    conversation = demo.preferences[0].conversations()[0]
    assert model.score_conversations([conversation])[0].objectives == pytest.approx(
        first.scored[0].scores[0].objectives, abs=1e-4
    )


def test_a_family_without_objectives_says_nothing_of_them(tmp_path):
    folder = copy_golden("ultrarm", tmp_path)
    add_tokenizer(folder)
    model = load(folder)
    assert "objectives" not in model.provenance()
    score = model.score_conversations([(rmeval.Message("user", "a"),)])[0]
    assert score.objectives == ()


def test_lines_are_scored_with_their_objectives(readable_urm, tmp_path):
    lines, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    lines.write_text(json.dumps({"messages": messages}) + "\n")
    command = ["score", "--model", str(readable_urm), "--device", "cpu"]
    assert main([*command, "--input", str(lines), "--output", str(out)]) == 0
    line = json.loads(out.read_text())
    score = load(readable_urm).score_conversations([tuple(rmeval.Message(**m) for m in messages)])
    assert [line["score"], *line["objectives"]] == pytest.approx(
        [score[0].value, *score[0].objectives], abs=1e-5
    )
