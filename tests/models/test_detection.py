"""Which adapter a checkpoint gets: decided by its own config.json and the names of its weights."""

import pytest
from checkpoints import (
    TOLERANCE,
    copy_golden,
    edit_config,
    golden_cases,
)
from conftest import GOLDEN

from rmeval.errors import BadCheckpoint, BadOption, UnknownName
from rmeval.load_options import LoadOptions
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.families import FAMILIES, detect_family
from rmeval.models.load import load_scorer


def family_of(folder):
    return detect_family(open_checkpoint(str(folder))).name


@pytest.mark.parametrize(
    ("layout", "family"),
    [
        ("internlm2", "internlm2"),
        ("inform", "inf-orm"),
        ("grm-mlp", "grm"),
        ("grm-linear", "grm"),
        ("seqcls", "classifier"),
    ],
)
def test_each_layout_is_recognised_wherever_its_folder_lies(tmp_path, layout, family):
    assert family_of(GOLDEN / layout) == family
    assert family_of(copy_golden(layout, tmp_path / "some-fine-tune")) == family


@pytest.mark.parametrize(
    ("layout", "family"),
    [("inform", "inf-orm"), ("beaver-cost", "beaver"), ("ultrarm", "ultrarm")],
)
@pytest.mark.parametrize("named", ["LlamaForSequenceClassification", "LlamaForCausalLM"])
def test_a_head_alone_claims_nothing_and_who_insists_is_believed(tmp_path, layout, family, named):
    folder = copy_golden(layout, tmp_path)
    edit_config(folder, architectures=[named])
    with pytest.raises(BadCheckpoint) as error:
        load_scorer(folder, LoadOptions(device="cpu"))
    assert f"'{named}'" in str(error.value)
    assert f"looks like {family}; " in str(error.value)
    assert str(error.value).endswith(f"pass `family={family!r}`")
    ids, scores = golden_cases(GOLDEN / layout)
    model = load_scorer(folder, LoadOptions(family=family, dtype="float32", device="cpu"))
    assert model.score_tokens(ids[:4]) == pytest.approx(scores[:4], abs=TOLERANCE, rel=0)


def test_a_deep_value_head_is_recognised_without_its_config_fields(tmp_path):
    """A linear one is not: TRL keeps a critic of PPO in that layout."""
    folder = copy_golden("grm-mlp", tmp_path)
    edit_config(folder, remove=("vhead_layer_type", "vhead_num_neurons", "vhead_num_layers"))
    assert family_of(folder) == "grm"


def test_an_unknown_architecture_names_the_file_and_the_known_adapters(tmp_path):
    folder = copy_golden("seqcls", tmp_path)
    edit_config(folder, architectures=["FooForReward"])
    with pytest.raises(BadCheckpoint) as error:
        family_of(folder)
    message = str(error.value)
    assert "'FooForReward'" in message
    assert str(folder / "config.json") in message
    assert all(entry.name in message for entry in FAMILIES)
    assert "trust-remote-code" not in message  # it has no code of its own


def test_a_config_without_architectures_says_so(tmp_path):
    folder = copy_golden("seqcls", tmp_path)
    edit_config(folder, remove=("architectures",))
    with pytest.raises(BadCheckpoint, match="no model adapter for architecture 'none'"):
        family_of(folder)


def test_a_plain_language_model_is_no_reward_model(tmp_path):
    folder = copy_golden("nemotron", tmp_path / "some-model")
    edit_config(folder, remove=("_name_or_path",))
    said = "'LlamaForCausalLM' in .*: a language model without a reward head; .* with `reference="
    with pytest.raises(BadCheckpoint, match=said.replace(": ", "; ", 1)) as error:
        family_of(folder)
    assert "known:" not in str(error.value)  # no list of what it is not


def test_two_adapters_that_claim_one_checkpoint_are_both_named(tmp_path):
    folder = copy_golden("internlm2", tmp_path)
    edit_config(folder, vhead_layer_type="linear")
    with pytest.raises(BadCheckpoint, match="internlm2, grm"):
        family_of(folder)


def test_a_head_of_two_layers_is_no_plain_classifiers(tmp_path):
    """`score.0.weight` under Qwen2's own class name: whoever reads it so must say which it is."""
    config = {"architectures": ["Qwen2ForSequenceClassification"], "model_type": "qwen2"}
    shapes = {"score.0.weight": (4, 4), "score.2.weight": (1, 4)}
    with pytest.raises(BadCheckpoint, match=r"looks like inf-orm or qwen-rm; .*pass `family="):
        detect_family(Checkpoint("x", tmp_path, None, config, shapes, ()))


@pytest.mark.parametrize(
    ("keys", "nearest"),
    [
        (
            ["transformer.embed_tokens.weight"],
            "starling, for which it lacks v_head.weight; known: ",
        ),
        (
            ["regression_layer.weight", "gating.logit_scale", "reward_transform_matrix"],
            "armorm, for which it lacks gating.layers.0.weight; known: ",
        ),
        (["score.weight"], "classifier, whose score.weight it has, under another config.json or "),
        (
            ["model.norm.weight", "lm_head.weight"],
            "nemotron, whose model.norm.weight, lm_head.weight it has, under another ",
        ),
        (
            ["v_head.summary.weight"],
            "grm, whose v_head.summary.weight it has, under another config.json or name; known: ",
        ),
    ],
)
def test_where_no_adapter_fits_the_nearest_is_named_and_what_is_missing(tmp_path, keys, nearest):
    config = {"architectures": ["FooForReward"], "model_type": "foo"}
    checkpoint = Checkpoint("x", tmp_path, None, config, dict.fromkeys(keys, (1, 4)), ())
    with pytest.raises(BadCheckpoint) as error:
        detect_family(checkpoint)
    assert f"config.json; nearest: {nearest}" in str(error.value)


def test_where_nothing_is_near_nothing_is_named(tmp_path):
    checkpoint = Checkpoint("x", tmp_path, None, {}, {"wte.weight": (8, 4)}, ())
    with pytest.raises(BadCheckpoint, match=r"config\.json; known: ") as error:
        detect_family(checkpoint)
    assert "nearest" not in str(error.value)


@pytest.mark.parametrize("name", ["nemotron", "pair-pm"])
def test_a_family_that_only_a_name_tells_may_be_asked_for(tmp_path, name):
    folder = copy_golden("nemotron", tmp_path / "step-2000")
    edit_config(folder, remove=("_name_or_path",))
    ids, scores = golden_cases(GOLDEN / "nemotron")
    loading = LoadOptions(family=name, dtype="float32", device="cpu")
    model = load_scorer(folder, loading)
    assert model.family.name == name
    if name == "nemotron":
        assert model.score_tokens(ids) == pytest.approx(scores, abs=TOLERANCE, rel=0)
    else:
        assert all(0 < p < 1 for p in model.compare_tokens(ids))


def test_a_family_that_does_not_fit_is_refused_by_what_is_missing(tmp_path):
    folder = copy_golden("nemotron", tmp_path / "step-2000")
    edit_config(folder, remove=("_name_or_path",))
    with pytest.raises(BadCheckpoint, match="with `family=`"):
        load_scorer(folder, LoadOptions(device="cpu"))
    with pytest.raises(BadCheckpoint, match=r"it lacks transformer\.embed_tokens\.weight, v_head"):
        load_scorer(folder, LoadOptions(family="starling", device="cpu"))
    for other in ("armorm", "qrm-gemma", "pairrm", "ultrarm", "classifier"):
        with pytest.raises(BadCheckpoint, match=f"`family='{other}'` does not fit"):
            load_scorer(folder, LoadOptions(family=other, device="cpu"))
    with pytest.raises(UnknownName, match="did you mean 'nemotron'"):
        load_scorer(folder, LoadOptions(family="nemotrom", device="cpu"))
    with pytest.raises(BadOption, match="leave it out, or `reference=`"):
        load_scorer(folder, LoadOptions(family="nemotron", reference="none", device="cpu"))
