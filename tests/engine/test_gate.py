"""Which models may be packed: found by asking the model, and said with the cause."""

from types import SimpleNamespace

import pytest
import torch
import transformers as hf
from tiny_families import (
    ALTERNATING,
    GEMMA,
    GROUPED,
    PACKED,
    SIZES,
    VOCABULARY,
    alone,
    family_tree,
    tiny,
    tokens,
    with_large_weights,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import rmeval
from rmeval.engine.forward import forward_padded
from rmeval.engine.packable import why_not_packed
from rmeval.errors import BadOption
from rmeval.models.network import Network

EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1}
BLOOM = {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
MAMBA = {
    "use_mamba_kernels": False,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "mamba_d_state": 4,
    "mamba_dt_rank": 4,
}
REFUSED = {
    "bloom": (lambda: hf.BloomModel(hf.BloomConfig(**BLOOM)), "called 0 times in 2 layers"),
    "gpt-oss, with sinks": (
        lambda: hf.GptOssModel(
            hf.GptOssConfig(**GROUPED, head_dim=8, num_local_experts=2, num_experts_per_tok=1)
        ),
        "needs s_aux",
    ),
    "jamba, half recurrent": (
        lambda: hf.JambaModel(hf.JambaConfig(**GROUPED, **EXPERTS, **MAMBA)),
        "called 1 times in 2 layers",
    ),
    "qwen3-next, half recurrent": (
        lambda: hf.Qwen3NextModel(hf.Qwen3NextConfig(**GROUPED, **EXPERTS, **LINEAR, head_dim=8)),
        "called 1 times in 2 layers",
    ),
    "llama 4, in chunks of its mask": (
        lambda: hf.Llama4TextModel(
            hf.Llama4TextConfig(
                **GROUPED,
                head_dim=8,
                intermediate_size_mlp=48,
                num_local_experts=2,
                attention_chunk_size=16,
            )
        ),
        "window of 16 tokens stands only in a mask",
    ),
    "gemma 3, looking both ways": (
        lambda: hf.Gemma3TextModel(hf.Gemma3TextConfig(**GEMMA, use_bidirectional_attention=True)),
        "",
    ),
}
ALLOWED = {
    "gemma": lambda: hf.GemmaModel(hf.GemmaConfig(**GROUPED, head_dim=8)),
    "olmo3": lambda: hf.Olmo3Model(hf.Olmo3Config(**{**GROUPED, **ALTERNATING})),
    "opt": lambda: hf.OPTModel(
        hf.OPTConfig(**{**SIZES, "pad_token_id": 1}, ffn_dim=48, word_embed_proj_dim=32)
    ),
    "mixtral": lambda: hf.MixtralModel(
        hf.MixtralConfig(**GROUPED, num_local_experts=2, num_experts_per_tok=1)
    ),
}


def made(make):
    torch.manual_seed(0)
    return with_large_weights(make())


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str
)
@pytest.mark.parametrize("family", [*PACKED, "internlm2"])
def test_families_that_may_be_packed(family, dtype):
    assert why_not_packed(tiny(family, dtype)) is None


@pytest.mark.parametrize("family", ALLOWED)
def test_others_need_no_name_to_be_allowed(family):
    assert why_not_packed(made(ALLOWED[family])) is None


@pytest.mark.parametrize("family", REFUSED)
def test_models_that_a_pack_would_make_silently_wrong_are_refused_with_the_cause(family):
    make, cause = REFUSED[family]
    reason = why_not_packed(made(make))
    assert reason is not None
    assert cause in reason


@pytest.mark.parametrize("family", [name for name in REFUSED if "both ways" not in name])
def test_the_padded_path_is_exact_for_those_that_are_refused(family):
    network, sequences = made(REFUSED[family][0]), family_tree()
    rewards = forward_padded(network, [tokens(sequence) for sequence in sequences])
    assert rewards == pytest.approx(alone(network, sequences), abs=5e-5, rel=0)


class Hand(torch.nn.Module):
    """A causal backbone of two layers with one head, which can go wrong in the ways of `how`."""

    def __init__(self, how=""):
        super().__init__()
        self.how = how
        self.embedding = torch.nn.Embedding(VOCABULARY, 32)
        self.positions = torch.nn.Embedding(64, 32)
        self.config = SimpleNamespace(
            _attn_implementation="sdpa", num_hidden_layers=2, vocab_size=VOCABULARY
        )
        self.config.get_text_config = lambda: self.config

    def forward(self, input_ids, use_cache, position_ids=None):
        if position_ids is None or "no positions" in self.how:
            position_ids = torch.arange(input_ids.shape[1])[None]
        states = self.embedding(input_ids) + self.positions(position_ids)
        for _ in range(2 * (1 + ("twice" in self.how))):
            states = states + self.attend(states)
        states = states * (float("nan") if "nan" in self.how else 1)
        return SimpleNamespace(last_hidden_state=states)

    def attend(self, states):
        function = ALL_ATTENTION_FUNCTIONS[self.config._attn_implementation]
        options = {"alibi": torch.ones(1)} if "alibi" in self.how else {}
        if "dropout" in self.how and self.config._attn_implementation != "sdpa":
            options["dropout"] = 0.1
        heads = states[:, None]  # (N, 1, L, H)
        return function(self, heads, heads, heads, None, is_causal=True, **options)[0][:, :, 0]


def hand(how=""):
    return with_large_weights(Hand(how))


def test_a_backbone_written_by_hand_may_be_packed():
    assert why_not_packed(hand()) is None


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("twice", "attention was called 4 times in 2 layers"),
        ("no positions", "packed and padded states differ by"),
        ("alibi", "its attention also needs alibi"),
        ("dropout", "dropout"),
        ("nan", "differ by nan"),
    ],
)
def test_a_backbone_with_one_thing_wrong_is_refused_for_it(how, cause):
    assert cause in why_not_packed(hand(how))


def test_a_backbone_that_takes_no_positions_is_refused_with_the_error():
    class Without(Hand):
        def forward(self, input_ids, use_cache):
            return super().forward(input_ids, use_cache)

    assert "packed forward fails (TypeError" in why_not_packed(with_large_weights(Without()))


def test_what_pools_for_itself_is_not_packed():
    encoder = hf.BertForSequenceClassification(hf.BertConfig(**SIZES, num_labels=1))
    assert why_not_packed(Network(encoder.eval(), None)) == "it pools for itself"


def test_the_gate_leaves_the_attention_as_it_was():
    for network in (tiny("llama"), made(REFUSED["gpt-oss, with sinks"][0])):
        before = network.config._attn_implementation
        why_not_packed(network)
        assert network.config._attn_implementation == before


def saved(folder, model_class, config):
    torch.manual_seed(0)
    model = model_class(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    return str(folder)


def load(folder, **options):
    return rmeval.load_model(folder, device="cpu", dtype="float32", **options)


@pytest.fixture
def bloom(tmp_path):
    config = hf.BloomConfig(**BLOOM, num_labels=1)
    return saved(tmp_path, hf.BloomForSequenceClassification, config)


def test_to_ask_for_packs_where_there_can_be_none_is_refused_with_the_reason(bloom):
    with pytest.raises(BadOption, match=r"called 0 times in 2 layers.*`engine='padded'`"):
        load(bloom, engine="packed")


def test_auto_falls_back_and_says_why(bloom):
    model = load(bloom)
    told = model.engine_provenance()
    assert told["path"] == "padded"
    assert told["reason"] == "attention was called 0 times in 2 layers"
    sequences = family_tree()
    assert model.score_tokens(sequences) == load(bloom, engine="padded").score_tokens(sequences)


LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 16,
}
DEPENDENT = {
    "phi 3, whose angles change for all when one sequence is long": (
        hf.Phi3ForSequenceClassification,
        lambda: hf.Phi3Config(
            **GROUPED,
            num_labels=1,
            rope_scaling=LONGROPE,
            original_max_position_embeddings=16,
        ),
    ),
    "gemma 3, looking both ways": (
        hf.Gemma3TextForSequenceClassification,
        lambda: hf.Gemma3TextConfig(**GEMMA, num_labels=1, use_bidirectional_attention=True),
    ),
}


@pytest.mark.parametrize("engine", ["auto", "padded"])
@pytest.mark.parametrize("name", DEPENDENT)
def test_no_score_depends_on_the_batch_or_the_model_is_refused(tmp_path, name, engine):
    model_class, config = DEPENDENT[name]
    folder = saved(tmp_path, model_class, config())
    try:
        model = load(folder, engine=engine)
    except rmeval.RmevalError:
        return
    sequences = [*family_tree(), [5] * 15 + [7], [5] * 16 + [7]]  # 16 tokens, and one more
    expected = [model.score_tokens([sequence])[0] for sequence in sequences]
    assert model.score_tokens(sequences) == pytest.approx(expected, abs=5e-5, rel=0)
