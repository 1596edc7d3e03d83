"""What trainers leave on disks: read as they would score it, or refused by what it is."""

import pytest
import torch
from checkpoints import copy_golden, edit_config, golden_cases, load_golden, read_tensors
from checkpoints import write_tensors as write
from conftest import GOLDEN
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification, GPT2Config, LlamaModel

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.load_options import LoadOptions
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.families import detect_family
from rmeval.models.load import load_scorer

IDS = golden_cases(GOLDEN / "seqcls")[0][:4]
HEAD = "v_head.summary.weight"


@pytest.fixture
def folder(tmp_path):
    return copy_golden("seqcls", tmp_path / "model")


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


def refusal(folder, **options):
    with pytest.raises(BadCheckpoint) as error:
        load(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def near(expected):
    return pytest.approx(expected, abs=1e-5, rel=0)


def last_states(folder):
    """Transformers' states of the last tokens, (N, H): what every one of these heads reads."""
    body = LlamaModel.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return torch.stack([body(torch.tensor([ids])).last_hidden_state[0, -1] for ids in IDS])


def language_model(folder, *, tied=False):
    """Turns the classifier into the causal model whose value head is kept apart."""
    tensors = read_tensors(folder)
    weight = tensors.pop("score.weight")
    logits = {} if tied else {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}
    write(folder, {**tensors, **logits})
    edit_config(folder, architectures=["LlamaForCausalLM"])
    return {HEAD: weight, "v_head.summary.bias": torch.tensor([0.25])}


@pytest.mark.parametrize("pickled", [False, True])
def test_llama_factorys_value_head_is_part_of_the_checkpoint(folder, pickled):
    head = language_model(folder)
    if pickled:
        torch.save(head, folder / "value_head.bin")
        assert "`allow_pickle=True`" in refusal(folder)
    else:
        save_file(head, folder / "value_head.safetensors")
    model = load(folder, allow_pickle=pickled)
    expected = last_states(folder) @ head[HEAD][0] + 0.25
    assert model.family.name == "grm"
    assert model.score_tokens(IDS) == near(expected.tolist())
    checkpoint = model.family.checkpoint
    assert checkpoint.shapes[HEAD] == tuple(head[HEAD].shape)
    assert checkpoint.shards[-1].stem == "value_head"


def test_the_value_heads_file_counts_for_the_fingerprint(folder):
    head = language_model(folder)
    save_file(head, folder / "value_head.safetensors")
    before = open_checkpoint(str(folder)).fingerprint()
    save_file({**head, HEAD: -head[HEAD]}, folder / "value_head.safetensors")
    assert open_checkpoint(str(folder)).fingerprint() != before


def test_a_value_head_in_the_models_own_file_may_be_a_critics(folder):
    """TRL's AutoModelForCausalLMWithValueHead; GRM says vhead_layer_type, or has the name."""
    head = language_model(folder)
    write(folder, {**read_tensors(folder), **head})
    message = refusal(folder)
    assert "looks like grm; a critic of PPO has these weights too" in message
    assert message.endswith("pass `family='grm'`")
    model = load_scorer(folder, LoadOptions(family="grm", dtype="float32", device="cpu"))
    expected = (last_states(folder) @ head[HEAD][0] + 0.25).tolist()
    assert model.score_tokens(IDS) == near(expected)
    edit_config(folder, _name_or_path="Ray2333/GRM-Llama3-8B-sftreg")
    assert load(folder).score_tokens(IDS) == near(expected)


def test_ace_codes_class_is_known(folder):
    shapes = {HEAD: (1, 32), "model.norm.weight": (32,)}
    config = {"architectures": ["Qwen2ForCausalRM"], "model_type": "qwen2"}
    assert detect_family(Checkpoint("x", folder, None, config, shapes, ())).name == "grm"


def openrlhf(folder, head="score", classes="RewardModel", **config):
    tensors = read_tensors(folder)
    tensors[f"{head}.weight"] = tensors.pop("score.weight")
    write(folder, tensors)
    edit_config(folder, ("id2label", "label2id"), architectures=[classes], **config)


@pytest.mark.parametrize(
    ("head", "classes", "said"),
    [
        ("score", "RewardModel", {"value_head_prefix": "score"}),
        ("value_head", "RewardModel", {"value_head_prefix": "value_head"}),
        ("reward", "RewardModel", {"value_head_prefix": "reward"}),
        ("value_head", "RewardModel", {}),
        ("value_head", "LLMForSequenceRegression", {}),
        ("value_head", "LlamaForSequenceClassification", {}),
        ("score", "LlamaForSequenceClassification", {"value_head_prefix": "score"}),
    ],
)
def test_openrlhfs_head_is_called_as_its_config_says(folder, head, classes, said):
    openrlhf(folder, head, classes, **said)
    assert load(folder).score_tokens(IDS) == near(load_golden("seqcls").score_tokens(IDS))


@pytest.mark.parametrize("asked", [True, False])
def test_openrlhfs_normalised_reward_stands_beside_the_raw_one(folder, asked):
    """(r - mean) / std, as its RewardModel.forward has it; nothing where config.json is silent."""
    openrlhf(folder, value_head_prefix="score", normalize_reward=asked, mean=2.0, std=4.0)
    model = load(folder)
    raw = load_golden("seqcls").score_tokens(IDS)
    assert model.score_tokens(IDS) == near(raw)
    assert model.family.objectives() == (("normalised (mean 2.0, std 4.0)",) if asked else ())
    head = model.network.head
    states = last_states(folder)
    expected = [[r, (r - 2) / 4] if asked else [r] for r in raw]
    assert head(states).tolist() == [near(row) for row in expected]


@pytest.mark.parametrize("std", [0, None, "4"])
def test_a_deviation_that_is_none_normalises_nothing(folder, std):
    openrlhf(folder, value_head_prefix="score", normalize_reward=True, mean=2.0, std=std)
    assert load(folder).family.objectives() == ()


def token_scores(model):
    with torch.inference_mode():
        return [model(torch.tensor([ids])).logits[0, -1, 0].item() for ids in IDS]


def test_a_token_classifiers_reward_is_the_last_tokens(folder):
    tensors = {**read_tensors(folder), "score.bias": torch.tensor([0.5])}
    write(folder, tensors)
    edit_config(folder, architectures=["LlamaForTokenClassification"], num_labels=1)
    own = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    assert load(folder, family="token-classifier").score_tokens(IDS) == near(token_scores(own))


def test_a_token_classifier_may_be_a_critic_and_must_be_insisted_on(folder):
    """verl writes its critics in this class, and TRL its process reward models."""
    write(folder, {**read_tensors(folder), "score.bias": torch.tensor([0.5])})
    edit_config(folder, architectures=["LlamaForTokenClassification"], num_labels=1)
    message = refusal(folder)
    assert "looks like token-classifier; a critic of PPO (verl)" in message
    assert message.endswith("pass `family='token-classifier'`")


def test_a_token_classifiers_head_may_be_called_classifier(tmp_path):
    config = GPT2Config(
        vocab_size=512, n_positions=256, n_embd=32, n_layer=2, n_head=4, num_labels=1
    )
    torch.manual_seed(0)
    own = AutoModelForTokenClassification.from_config(config).eval()
    own.save_pretrained(tmp_path)
    model = load(tmp_path, family="token-classifier")
    assert model.score_tokens(IDS) == near(token_scores(own))


def test_a_token_classifier_with_two_labels_is_refused(folder):
    tensors = read_tensors(folder)
    tensors["score.weight"] = torch.cat([tensors["score.weight"]] * 2)
    write(folder, {**tensors, "score.bias": torch.zeros(2)})
    edit_config(folder, architectures=["LlamaForTokenClassification"], num_labels=2)
    assert "score.weight gives 2 labels" in refusal(folder, family="token-classifier")


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
        ({"load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "awq"}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
        ({"quant_method": "torchao"}, "torchao"),
        ({"bits": 4}, "unnamed"),
    ],
)
def test_quantised_weights_are_refused_by_their_method(folder, settings, method):
    edit_config(folder, quantization_config=settings)
    message = refusal(folder)
    assert f"quantised ({method})" in message
    assert "dequantise" in message


def test_a_part_of_the_config_may_say_that_weights_are_quantised(folder):
    edit_config(folder, text_config={"quantization_config": {"quant_method": "gptq"}})
    assert "quantised (gptq)" in refusal(folder)


@pytest.mark.parametrize(
    ("name", "trainer", "command"),
    [
        ("global_step100/mp_rank_00_model_states.pt", "DeepSpeed", "zero_to_fp32.py"),
        ("zero_pp_rank_0_mp_rank_00_model_states.pt", "DeepSpeed", "zero_to_fp32.py"),
        ("pytorch_model_fsdp_0/__0_0.distcp", "FSDP", "accelerate merge-weights"),
        ("pytorch_model_fsdp.bin", "FSDP", "accelerate merge-weights"),
        ("__0_0.distcp", "FSDP", "accelerate merge-weights"),
        ("model_world_size_8_rank_0.pt", "verl", "verl.model_merger"),
    ],
)
@pytest.mark.parametrize("config", [True, False], ids=["with config.json", "alone"])
def test_shards_of_a_training_state_are_refused_with_what_joins_them(
    folder, name, trainer, command, config
):
    (folder / "model.safetensors").unlink()
    if not config:
        (folder / "config.json").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    message = refusal(folder, allow_pickle=True)
    assert trainer in message
    assert command in message


@pytest.mark.parametrize("config", [True, False], ids=["with config.json", "alone"])
def test_llama_cpps_files_are_said_by_what_they_are(folder, config):
    (folder / "model.safetensors").unlink()
    if not config:
        (folder / "config.json").unlink()
    (folder / "rm-Q4_K_M.gguf").write_bytes(b"GGUF")
    assert "rm-Q4_K_M.gguf is of llama.cpp" in refusal(folder)


def test_an_optimisers_shards_beside_whole_weights_are_no_matter(folder):
    (folder / "global_step100").mkdir()
    assert load(folder).score_tokens(IDS) == near(load_golden("seqcls").score_tokens(IDS))
