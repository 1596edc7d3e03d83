"""Mixtures of experts, whose weights transformers renames and fuses at load: as its own class."""

import pytest
import torch
from checkpoints import edit_config, read_tensors, split_in_two, write_tensors
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    DeepseekV2Config,
    DeepseekV3Config,
    JambaConfig,
    MiniMaxConfig,
    MixtralConfig,
    PhimoeConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

import rmeval
from rmeval.errors import BadCheckpoint

IDS = [[5, 9, 200, 7], [3, 300, 411, 17, 8, 2, 90], [1]]
SIZES = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
    "num_local_experts": 12,
    "num_experts": 12,
    "n_routed_experts": 12,
    "num_experts_per_tok": 2,
    "shared_expert_intermediate_size": 24,
    "pad_token_id": None,
    "num_labels": 1,
}
LATENT = {
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
CONFIGS = {
    "mixtral": lambda **more: MixtralConfig(**SIZES, **more),
    "qwen2_moe": lambda: Qwen2MoeConfig(**SIZES),
    "qwen3_moe": lambda: Qwen3MoeConfig(**SIZES, head_dim=8),
    "phimoe": lambda: PhimoeConfig(**SIZES),
    "minimax": lambda: MiniMaxConfig(**SIZES),
    "jamba": lambda: JambaConfig(
        **SIZES, use_mamba_kernels=False, attn_layer_period=2, attn_layer_offset=1
    ),
    "deepseek_v2": lambda: DeepseekV2Config(**SIZES, **LATENT),
    "deepseek_v3": lambda: DeepseekV3Config(**SIZES, **LATENT),
}


def save(folder, config, kind=AutoModelForSequenceClassification):
    """Writes a random model as transformers itself writes it, and returns it."""
    torch.manual_seed(0)
    own = kind.from_config(config).eval()
    with torch.no_grad():
        for weight in own.parameters():
            weight.normal_(std=1.5 / weight.shape[-1] ** 0.5)
    own.save_pretrained(folder)
    return own


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


def own_scores(own):
    with torch.inference_mode():
        return [own(torch.tensor([ids])).logits.item() for ids in IDS]


def near(expected):
    return pytest.approx(expected, abs=5e-5, rel=0)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_it_scores_as_transformers_own_class(tmp_path, model_type):
    own = save(tmp_path, CONFIGS[model_type]())
    model = load(tmp_path)
    assert model.family.name == "classifier"
    assert any(".experts.10." in name for name in model.family.checkpoint.shapes)  # after 9
    assert model.score_tokens(IDS) == near(own_scores(own))
    assert load(tmp_path, engine="padded").score_tokens(IDS) == near(own_scores(own))


def test_experts_may_come_in_any_order_and_file(tmp_path):
    own = save(tmp_path, CONFIGS["mixtral"]())
    split_in_two(tmp_path)  # every other weight in the other file
    assert load(tmp_path).score_tokens(IDS) == near(own_scores(own))


def test_a_language_model_gives_transformers_own_log_probabilities(tmp_path):
    config = MixtralConfig(**{**SIZES, "num_labels": 2})
    own = save(tmp_path, config, AutoModelForCausalLM)
    model = load(tmp_path, reference="none")
    prompt, answer = IDS[1][:3], IDS[1][3:]
    with torch.inference_mode():
        log = own(torch.tensor([IDS[1]])).logits[0].log_softmax(-1)
    expected = sum(log[2 + place, token].item() for place, token in enumerate(answer))
    assert model.score_tokens([(prompt, answer)]) == near([expected])


@pytest.mark.parametrize("lost", ["experts.3.w1.weight", "experts.11.w2.weight", "gate.weight"])
def test_a_part_that_is_missing_is_an_error_of_one_line(tmp_path, lost):
    save(tmp_path, CONFIGS["mixtral"]())
    kept = {key: tensor for key, tensor in read_tensors(tmp_path).items() if not key.endswith(lost)}
    write_tensors(tmp_path, kept)
    with pytest.raises(BadCheckpoint) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    assert "layers.0.mlp" in str(error.value)


def test_an_expert_that_the_config_does_not_count_is_refused(tmp_path):
    save(tmp_path, CONFIGS["mixtral"]())
    edit_config(tmp_path, num_local_experts=11)
    with pytest.raises(BadCheckpoint, match=r"where config\.json asks for"):
        load(tmp_path)
