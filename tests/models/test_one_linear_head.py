"""UltraRM, Beaver, Starling and Nemotron-Reward: one linear head each, under another name."""

import pytest
import torch
from checkpoints import (
    TOLERANCE,
    copy_golden,
    edit_config,
    golden_cases,
    load_golden,
    read_tensors,
    write_tensors,
)
from conftest import GOLDEN
from readable import TURNS, add_tokenizer

import rmeval
from rmeval.errors import BadCheckpoint

HEADS = {
    "beaver-cost": "score_head.weight",
    "starling": "v_head.weight",
    "ultrarm": "regression_head.weight",
}
PROMPT = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


@pytest.fixture
def beaver(tmp_path):
    """A beaver as one would have it: its linear scores are the costs of the golden one."""

    def make(remove=(), tensors=None, **config):
        folder = copy_golden("beaver-cost", tmp_path)
        edit_config(folder, remove, **config)
        write_tensors(folder, {**read_tensors(folder), **(tensors or {})})
        return folder

    return make


def beaver_cases():
    ids, scores = golden_cases(GOLDEN / "beaver-cost")
    return ids, [-score for score in scores]


def near(expected):
    return pytest.approx(expected, abs=TOLERANCE, rel=0)


def test_starling_has_the_stock_class_name_and_the_weights_decide(tmp_path):
    folder = copy_golden("starling", tmp_path)
    edit_config(folder, architectures=["LlamaForSequenceClassification"])
    ids, scores = golden_cases(GOLDEN / "starling")
    assert load(folder).score_tokens(ids[:4]) == near(scores[:4])


@pytest.mark.parametrize(("layout", "head"), HEADS.items())
def test_without_its_head_it_is_never_scored(tmp_path, layout, head):
    folder = copy_golden(layout, tmp_path)
    edit_config(folder, architectures=["LlamaForSequenceClassification"])
    tensors = read_tensors(folder)
    del tensors[head]
    write_tensors(folder, tensors)
    with pytest.raises(BadCheckpoint, match=r"missing|for which it lacks"):
        load(folder)


@pytest.mark.parametrize(("layout", "head"), HEADS.items())
def test_without_a_part_of_its_body_it_is_never_scored(tmp_path, layout, head):
    folder = copy_golden(layout, tmp_path)
    tensors = read_tensors(folder)
    del tensors[next(key for key in tensors if key.endswith("layers.1.mlp.up_proj.weight"))]
    write_tensors(folder, tensors)
    with pytest.raises(BadCheckpoint, match=r"missing: backbone\.layers\.1\.mlp\.up_proj\.weight"):
        load(folder)


def test_eurus_is_the_same_head_on_mistral(tmp_path):
    """Without a window Mistral computes what Llama does."""
    folder = copy_golden("ultrarm", tmp_path)
    changes = {"model_type": "mistral", "sliding_window": None}
    edit_config(folder, architectures=["EurusRewardModel"], **changes)
    model = load(folder)
    assert type(model.network.backbone).__name__ == "MistralModel"
    ids, scores = golden_cases(GOLDEN / "ultrarm")
    assert model.score_tokens(ids) == near(scores)


def test_the_sign_of_a_cost_is_turned_and_of_a_reward_is_not(beaver):
    ids, costs = beaver_cases()
    assert load(beaver(score_type="reward")).score_tokens(ids) == near(costs)
    assert load(beaver(score_type="cost")).score_tokens(ids) == near([-cost for cost in costs])


@pytest.mark.parametrize(
    ("score_type", "by_hand"),
    [("reward", lambda score: (score + 0.5 - 3) / 2), ("cost", lambda score: -(score + 0.5) / 2)],
)
def test_a_reward_is_shifted_and_scaled_and_a_cost_only_scaled(beaver, score_type, by_hand):
    """Variance 4 is a deviation of 2; the head has a bias of 0.5; the mean is 3."""
    tensors = {
        "score_head.bias": torch.tensor([0.5]),
        "normalizer.mean": torch.tensor([3.0]),
        "normalizer.var": torch.tensor([4.0]),
    }
    folder = beaver(tensors=tensors, score_type=score_type, do_normalize=True, bias=True)
    ids, scores = beaver_cases()
    assert load(folder).score_tokens(ids) == near([by_hand(score) for score in scores])


def test_a_normaliser_that_is_asked_for_and_missing_is_named(beaver):
    folder = beaver(do_normalize=True)
    tensors = read_tensors(folder)
    del tensors["normalizer.mean"]
    write_tensors(folder, tensors)
    with pytest.raises(BadCheckpoint, match=r"missing: head\.mean"):
        load(folder)


@pytest.mark.parametrize("change", [{"remove": ("score_type",)}, {"score_type": "safety"}])
def test_a_beaver_that_does_not_say_which_way_is_up_is_refused(beaver, change):
    with pytest.raises(BadCheckpoint, match="nothing says whether higher is better"):
        load(beaver(**change))


def test_a_beaver_of_an_older_config_has_a_key_value_head_for_each_head(beaver):
    """LlamaConfig of before grouped attention: neither field stood in it."""
    folder = beaver(remove=("num_key_value_heads", "rope_theta"))
    tensors = read_tensors(folder)
    for key in [key for key in tensors if key.endswith(("k_proj.weight", "v_proj.weight"))]:
        # each of the two key-value heads serves two heads; written out, that is four
        tensors[key] = tensors[key].reshape(2, 1, 8, 32).expand(2, 2, 8, 32).reshape(32, 32)
    write_tensors(folder, tensors)
    ids, costs = beaver_cases()
    assert load(folder).score_tokens(ids) == near([-cost for cost in costs])


@pytest.mark.parametrize(
    "name",
    ["nemotron", "Llama-3.3-Nemotron-70B-Reward", "models--nvidia--Nemotron-Reward/snapshots/0a1"],
)
def test_nemotron_is_known_by_its_folders_name(tmp_path, name):
    folder = copy_golden("nemotron", tmp_path / name)
    edit_config(folder, remove=("_name_or_path",))
    ids, scores = golden_cases(GOLDEN / "nemotron")
    assert load(folder).score_tokens(ids[:4]) == near(scores[:4])


@pytest.mark.parametrize("name", ["Llama-3.1-8B-Instruct", "Llama-3.1-Nemotron-70B-Instruct-HF"])
def test_a_language_model_that_says_nothing_of_rewards_is_never_scored(tmp_path, name):
    folder = copy_golden("nemotron", tmp_path / name)
    edit_config(folder, remove=("_name_or_path",))
    with pytest.raises(BadCheckpoint, match="no model adapter for architecture 'LlamaForCausalLM'"):
        load(folder)


def test_only_the_first_row_of_nemotrons_output_layer_counts(tmp_path):
    folder = copy_golden("nemotron", tmp_path)
    tensors = read_tensors(folder)
    tensors["lm_head.weight"][1:] = 1000
    write_tensors(folder, tensors)
    ids, scores = golden_cases(GOLDEN / "nemotron")
    assert load(folder).score_tokens(ids[:4]) == near(scores[:4])


def test_nemotron_reads_a_conversation_without_a_generation_prompt(tmp_path):
    """As its model card renders it: add_generation_prompt=False."""
    folder = copy_golden("nemotron", tmp_path)
    edit_config(folder, remove=("rope_scaling",))
    add_tokenizer(folder, TURNS + PROMPT)
    model = load(folder)
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    text = "<|user|>1+1?</s><|assistant|>2</s>"
    assert model.tokenizer.decode(model.encode(turns)) == text


def test_the_first_zero_ends_what_starling_scores():
    model = load_golden("starling")
    ids, scores = golden_cases(GOLDEN / "starling")
    assert model.score_tokens([[*ids[5], 0, 7], [*ids[5], 7, 0]])[0] == near(scores[5])


def test_angles_that_old_checkpoints_saved_in_each_layer_are_passed_over(tmp_path):
    folder = copy_golden("ultrarm", tmp_path)
    angles = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(3)}
    write_tensors(folder, {**read_tensors(folder), **angles})
    ids, scores = golden_cases(GOLDEN / "ultrarm")
    assert load(folder).score_tokens(ids[:4]) == near(scores[:4])
