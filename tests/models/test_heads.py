"""Value heads of GRM and INF-ORM with layers that the golden checkpoints do not have."""

from itertools import pairwise

import pytest
import torch
from checkpoints import copy_golden, edit_config, golden_cases, read_tensors, write_tensors
from conftest import GOLDEN
from torch.nn.functional import linear, relu

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head, mlp_head

IDS = golden_cases(GOLDEN / "grm-mlp")[0][:6]


def load(folder):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu")


def replace_head(folder, head):
    body = {k: t for k, t in read_tensors(folder).items() if not k.startswith("v_head")}
    write_tensors(folder, {**body, **head})


def mlp(widths, prefix="v_head.summary"):
    random = torch.Generator().manual_seed(3)
    tensors = {}
    for index, (columns, rows) in enumerate(pairwise(widths)):
        tensors[f"{prefix}.{2 * index}.weight"] = torch.randn(rows, columns, generator=random) / 3
        tensors[f"{prefix}.{2 * index}.bias"] = torch.randn(rows, generator=random)
    return tensors


def last_hidden_states(folder):
    """What the backbone gives at each sequence's last token, one sequence at a time."""
    backbone = load(folder).network.backbone
    states = [backbone(torch.tensor([ids])).last_hidden_state[0, -1] for ids in IDS]
    return torch.stack(states)  # (N, H)


@pytest.mark.parametrize("widths", [[32, 20, 1], [32, 24, 16, 1], [32, 8, 8, 8, 1]])
def test_a_value_head_may_have_any_number_of_layers(tmp_path, widths):
    folder = copy_golden("grm-mlp", tmp_path)
    head = mlp(widths)
    replace_head(folder, head)
    edit_config(folder, vhead_num_layers=len(widths) - 2, vhead_num_neurons=widths[1])
    x = last_hidden_states(folder)
    for index in range(len(widths) - 1):
        x = relu(x) if index else x
        at = f"v_head.summary.{2 * index}"
        x = linear(x, head[f"{at}.weight"], head[f"{at}.bias"])
    assert load(folder).score_tokens(IDS) == pytest.approx(x[:, 0].tolist(), abs=1e-5)


def test_the_causal_language_models_own_head_is_not_used(tmp_path):
    folder = copy_golden("grm-mlp", tmp_path)
    before = load(folder).score_tokens(IDS)
    write_tensors(folder, {**read_tensors(folder), "lm_head.weight": torch.ones(512, 32)})
    assert load(folder).score_tokens(IDS) == pytest.approx(before, abs=1e-5)


def test_a_depth_that_the_weights_do_not_have_is_refused(tmp_path):
    folder = copy_golden("grm-mlp", tmp_path)
    edit_config(folder, vhead_num_layers=2)
    with pytest.raises(BadCheckpoint, match=r"vhead_num_layers 2, .* have 1"):
        load(folder)


def test_a_linear_head_in_the_config_and_layers_in_the_weights_are_refused(tmp_path):
    folder = copy_golden("grm-mlp", tmp_path)
    edit_config(folder, vhead_layer_type="linear")
    with pytest.raises(BadCheckpoint, match=r"v_head\.summary\.weight"):
        load(folder)


def test_layers_in_the_config_and_a_linear_head_in_the_weights_are_refused(tmp_path):
    folder = copy_golden("grm-linear", tmp_path)
    edit_config(folder, vhead_layer_type="mlp")
    with pytest.raises(BadCheckpoint, match=r"v_head\.summary\.0\.weight is missing"):
        load(folder)


def test_inf_orm_by_name_with_a_plain_score_head_is_refused(tmp_path):
    folder = copy_golden("seqcls", tmp_path)
    edit_config(folder, architectures=["INFORMForSequenceClassification"])
    with pytest.raises(BadCheckpoint, match=r"score\.0\.weight is missing"):
        load(folder)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        ({}, r"score\.0\.weight is missing"),
        ({"score.2.weight": (1, 4)}, r"score\.0\.weight is missing"),
        ({"score.0.weight": (4, 4), "score.4.weight": (1, 4)}, r"score\.2\.weight is missing"),
        ({"score.0.weight": (4, 4), "score.2.weight": (2, 4)}, r"score\.2\.weight gives 2 labels"),
        ({"score.0.weight": (4,), "score.2.weight": (1, 4)}, r"score\.0\.weight has shape \(4,\)"),
    ],
)
def test_an_incomplete_head_names_its_weight(tmp_path, shapes, named):
    with pytest.raises(BadCheckpoint, match=named):
        mlp_head(Checkpoint("x", tmp_path, None, {}, shapes, ()), "score")


def test_layers_that_do_not_fit_each_other_are_refused(tmp_path):
    folder = copy_golden("inform", tmp_path)
    write_tensors(folder, {**read_tensors(folder), "score.2.weight": torch.ones(1, 16)})
    with pytest.raises(BadCheckpoint, match=r"score\.2\.weight"):
        load(folder).score_tokens(IDS)


@pytest.mark.parametrize(
    ("layout", "key"),
    [("internlm2", "v_head"), ("seqcls", "score"), ("grm-linear", "v_head.summary")],
)
def test_a_head_for_another_hidden_size_is_refused(tmp_path, layout, key):
    folder = copy_golden(layout, tmp_path)
    write_tensors(folder, {**read_tensors(folder), f"{key}.weight": torch.ones(1, 16)})
    with pytest.raises(BadCheckpoint, match=key.replace(".", r"\.")):
        load(folder).score_tokens(IDS)


def test_a_head_is_made_in_the_size_of_its_weight(tmp_path):
    checkpoint = Checkpoint("x", tmp_path, None, {}, {"v.weight": (1, 6)}, ())
    head = linear_head(checkpoint, "v.weight", bias=False)
    assert (head.in_features, head.out_features, head.bias) == (6, 1, None)


def test_the_head_runs_in_float32_whatever_the_backbone_runs_in():
    model = rmeval.load_model(str(GOLDEN / "inform"), dtype="bfloat16", device="cpu")
    assert {p.dtype for p in model.network.head.parameters()} == {torch.float32}
    assert {p.dtype for p in model.network.backbone.parameters()} == {torch.bfloat16}
    expected = golden_cases(GOLDEN / "inform")[1][:6]
    assert model.score_tokens(IDS) == pytest.approx(expected, abs=0.5)
