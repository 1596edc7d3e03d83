"""`rmeval.wrap`: a live model scored as its saved twin is, and left as it was."""

import copy

import pytest
import torch
from checkpoints import TOLERANCE
from readable import PAIRS, TEMPLATE, add_tokenizer, load, readable
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import rmeval
from rmeval.errors import BadOption
from rmeval.evaluation import score_preferences

GENERATION = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
TALKS = [talk for pair in PAIRS for talk in pair.conversations()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return readable(tmp_path_factory.mktemp("live") / "seqcls")


@pytest.fixture
def live(folder):
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def state_of(model):
    """All that must be as it was: weights, gradients and their flags, modes, the setting."""
    return (
        {name: weight.detach().clone() for name, weight in model.state_dict().items()},
        [(weight.requires_grad, weight.grad) for weight in model.parameters()],
        [module.training for module in model.modules()],
        model.config._attn_implementation,
        [name for name, _ in model.named_modules()],
    )


def same(before, after):
    assert before[1:] == after[1:]
    assert all(torch.equal(weight, after[0][name]) for name, weight in before[0].items())


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_a_live_classifier_gives_what_its_folder_gives(folder, live, tokenizer, engine):
    scorer = rmeval.wrap(live, tokenizer, engine=engine)
    assert scorer.score(TALKS) == pytest.approx(load(folder).score(TALKS), abs=TOLERANCE)
    assert scorer.engine.packed == (engine == "packed")
    ids = [scorer.encode(talk) for talk in TALKS]
    assert scorer.score_tokens(ids) == pytest.approx(scorer.score(TALKS), abs=TOLERANCE)


def test_it_is_left_as_it_was_in_the_middle_of_a_training(live, tokenizer):
    live.train()
    live.model.layers[0].eval()  # as some freeze a part
    live.model.embed_tokens.requires_grad_(False)
    enable = "activation_checkpointing_enable"  # as transformers calls it since 5.23
    getattr(live, enable, live.gradient_checkpointing_enable)()
    live.enable_input_require_grads()
    ids = torch.tensor([[5, 9, 31, 8]])
    live(input_ids=ids).logits.sum().backward()
    before = state_of(live)
    scorer = rmeval.wrap(live, tokenizer)
    scorer.score(TALKS)
    same(before, state_of(live))
    live(input_ids=ids).logits.sum().backward()  # still trains


def test_a_step_of_training_is_seen_by_the_next_score(live, tokenizer):
    scorer = rmeval.wrap(live, tokenizer)
    first, print_before = scorer.score(TALKS), scorer.fingerprint
    optimiser = torch.optim.SGD(live.parameters(), lr=0.1)
    live(input_ids=torch.tensor([[5, 9, 31, 8]])).logits.sum().backward()
    optimiser.step()
    second = scorer.score(TALKS)
    assert second != pytest.approx(first, abs=1e-3)
    assert scorer.fingerprint != print_before
    expected = rmeval.wrap(copy.deepcopy(live), tokenizer, engine="padded").score(TALKS)
    assert second == pytest.approx(expected, abs=TOLERANCE)


def test_dropout_is_off_and_autocast_too(live, tokenizer):
    expected = rmeval.wrap(live, tokenizer).score(TALKS)
    live.config.attention_dropout = 0.5
    for layer in live.model.layers:
        layer.self_attn.attention_dropout = 0.5
    live.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert rmeval.wrap(live, tokenizer).score(TALKS) == expected


def test_the_head_runs_in_float32_though_the_model_is_in_half(folder, tokenizer):
    half = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    scorer = rmeval.wrap(half, tokenizer)
    expected = load(folder, dtype="bfloat16").score(TALKS)
    assert scorer.dtype == torch.bfloat16
    assert half.score.weight.dtype == torch.bfloat16
    assert scorer.score(TALKS) == pytest.approx(expected, abs=0.02)


class DistributedDataParallel(nn.Module):
    """Holds its model as torch's does, without a process group."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch.compile's own import
@pytest.mark.parametrize("around", [torch.compile, DistributedDataParallel])
def test_what_is_around_a_model_is_seen_through(live, tokenizer, around):
    expected = rmeval.wrap(live, tokenizer).score(TALKS)
    assert rmeval.wrap(around(live), tokenizer).score(TALKS) == expected


def test_the_tokenizer_is_left_alone(live, tokenizer):
    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(rmeval.RmevalError, match="the model in memory: its tokenizer has no chat"):
        rmeval.wrap(live, bare).score(TALKS)
    scorer = rmeval.wrap(live, bare, chat_template="yi-chat")
    scorer.score(TALKS)
    assert bare.chat_template is None
    assert not hasattr(bare, "day")


def test_a_benchmark_is_evaluated_and_the_record_says_in_memory(live, tokenizer, tmp_path):
    scorer = rmeval.wrap(live, tokenizer, name="my run")
    result = rmeval.evaluate(scorer, rmeval.load_benchmark("demo"), limit=4, output=tmp_path)
    record = result.provenance["model"]
    assert (result.model, record["tokenizer"]["file"]) == ("my run", "in memory")
    assert record["architecture"] == "LlamaForSequenceClassification"
    assert len(record["fingerprint"]) == 64


def test_an_encoder_pools_for_itself(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    add_tokenizer(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, vocab_size=259, intermediate_size=16, num_labels=1)
    bert = BertForSequenceClassification(config)
    scorer = rmeval.wrap(bert.train(), AutoTokenizer.from_pretrained(tmp_path))
    ids = scorer.encode(TALKS[0])
    with torch.inference_mode():
        expected = float(bert.eval()(input_ids=torch.tensor([ids])).logits)
    assert scorer.score(TALKS[:1]) == pytest.approx([expected], abs=TOLERANCE)


@pytest.fixture
def policy(tmp_path):
    """A language model with weights of its own, and its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 259}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads, tie_word_embeddings=True))
    add_tokenizer(tmp_path, TEMPLATE + GENERATION)
    model.save_pretrained(tmp_path)
    return model, AutoTokenizer.from_pretrained(tmp_path), tmp_path


def test_a_policy_is_scored_against_its_reference_as_from_folders(policy, tmp_path):
    reference, tokenizer, base = policy
    trained = copy.deepcopy(reference)
    for weight in trained.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    trained.save_pretrained(tmp_path / "trained")
    tokenizer.save_pretrained(tmp_path / "trained")
    before = state_of(trained.train())
    scorer = rmeval.wrap(trained, tokenizer, reference=reference)
    folders = rmeval.load_model(tmp_path / "trained", reference=base, device="cpu")
    assert scorer.score(TALKS) == pytest.approx(folders.score(TALKS), abs=TOLERANCE)
    same(before, state_of(trained))
    alone = rmeval.wrap(trained, tokenizer, reference="none", per_token=True)
    by_itself = rmeval.load_model(
        tmp_path / "trained", reference="none", per_token=True, device="cpu"
    )
    assert alone.score(TALKS) == pytest.approx(by_itself.score(TALKS), abs=TOLERANCE)
    rows = score_preferences(scorer, PAIRS)
    assert [score.value for row in rows for score in row.scores] == scorer.score(TALKS)


def lora(model, kind, **options):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(5)
    config = peft.LoraConfig(task_type=kind, r=2, lora_dropout=0.5, init_lora_weights=False)
    return peft.get_peft_model(model, config)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft's, under transformers 5.23
def test_adapters_count_and_are_merged_nowhere(live, tokenizer):
    peft_model = lora(live, "SEQ_CLS").train()
    before = state_of(peft_model)
    found = rmeval.wrap(peft_model, tokenizer).score(TALKS)
    same(before, state_of(peft_model))
    merged = copy.deepcopy(peft_model).merge_and_unload()
    assert found == pytest.approx(rmeval.wrap(merged, tokenizer).score(TALKS), abs=TOLERANCE)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_policy_with_adapters_is_its_own_reference_without_them(policy):
    base, tokenizer, _ = policy
    adapted = lora(copy.deepcopy(base), "CAUSAL_LM").train()
    before = state_of(adapted)
    found = rmeval.wrap(adapted, tokenizer, reference="base").score(TALKS)
    same(before, state_of(adapted))
    merged = copy.deepcopy(adapted).merge_and_unload()
    expected = rmeval.wrap(merged, tokenizer, reference=base).score(TALKS)
    assert found == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_another_of_its_adapters_may_be_a_policys_reference(policy):
    base, tokenizer, _ = policy
    adapted = lora(copy.deepcopy(base), "CAUSAL_LM")
    adapted.add_adapter("begun", adapted.peft_config["default"])
    before = state_of(adapted)
    found = rmeval.wrap(adapted, tokenizer, reference="begun").score(TALKS)
    same(before, state_of(adapted))
    assert adapted.active_adapter == "default"
    other = copy.deepcopy(adapted)
    other.set_adapter("begun")
    merged = [model.merge_and_unload() for model in (copy.deepcopy(adapted), other)]
    expected = rmeval.wrap(merged[0], tokenizer, reference=merged[1]).score(TALKS)
    assert found == pytest.approx(expected, abs=TOLERANCE)
    assert max(map(abs, found)) > 0.01
    with pytest.raises(
        BadOption, match=r"is no adapter of it; .* one of 'none', 'base', 'default'"
    ):
        rmeval.wrap(adapted, tokenizer, reference="sft")


class FullyShardedDataParallel(DistributedDataParallel):
    """Known by its name."""


def test_what_has_no_weights_here_is_refused_in_one_line(live, tokenizer):
    with pytest.raises(BadOption, match="sharded by FSDP; gather the whole model first"):
        rmeval.wrap(FullyShardedDataParallel(live), tokenizer)
    with pytest.raises(BadOption, match="on the meta device and has no weights"):
        rmeval.wrap(copy.deepcopy(live).to("meta"), tokenizer)
    live.score.weight.ds_id = 0
    with pytest.raises(BadOption, match="sharded by DeepSpeed ZeRO-3"):
        rmeval.wrap(live, tokenizer)


def test_what_gives_no_reward_is_refused(live, policy, tokenizer):
    with pytest.raises(BadOption, match="Linear is not a transformers model"):
        rmeval.wrap(nn.Linear(2, 2), tokenizer)
    with pytest.raises(BadOption, match="LlamaModel gives no reward"):
        rmeval.wrap(live.model, tokenizer)
    with pytest.raises(BadOption, match="pass reference=MODEL, 'base' or 'none'"):
        rmeval.wrap(policy[0], tokenizer)
    with pytest.raises(BadOption, match="reference is for a language model"):
        rmeval.wrap(live, tokenizer, reference="none")
    with pytest.raises(BadOption, match="reference='base' is for a model with PEFT"):
        rmeval.wrap(policy[0], tokenizer, reference="base")
    live.config.num_labels = 2
    with pytest.raises(BadOption, match="gives 2 labels; a reward model gives one"):
        rmeval.wrap(live, tokenizer)
