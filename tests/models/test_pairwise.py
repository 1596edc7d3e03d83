"""Models that compare two responses, against plain forwards in float64."""

import itertools
import json

import numpy as np
import pytest
import torch
import transformers as hf
from checkpoints import (
    copy_golden,
    edit_config,
    golden_cases,
    read_tensors,
    write_checkpoint,
    write_tensors,
)
from conftest import GOLDEN
from readable import add_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

import rmeval
from rmeval.errors import BadCheckpoint, BadConversation, BadData, BadOption
from rmeval.models import pairwise
from rmeval.models.families.pair_pm import CONTEXT
from rmeval.models.families.pairrm import CHAT
from rmeval.models.pairwise import Shown
from rmeval.records import Message, Preference

ENGINES = ("packed", "padded")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PROMPT = (Message("user", "Why is {b} blue?"),)


def encode(model, *shown, max_length=2048):
    pairs = [Shown(*pair) for pair in shown]
    return model.family.encode_pairs(model.tokenizer, pairs, max_length)


def load(folder, **options):
    return rmeval.load_pairwise_model(folder, dtype="float32", device="cpu", **options)


def language_model(folder):
    copy_golden("nemotron", folder)
    edit_config(folder, remove=("_name_or_path",))
    return folder


@pytest.fixture
def pair_pm(tmp_path):
    """A language model that is called what pair-PM is; it reads bytes."""
    folder = language_model(tmp_path / "my-pair-pm")
    add_tokenizer(folder, TEMPLATE)
    return folder


def answers(folder, sequences, a, b):
    """P(A) of whole logits in float64, in transformers' own class."""
    network = hf.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float64)
    found = []
    for ids in sequences:
        with torch.inference_mode():
            logits = network(torch.tensor([ids])).logits[0, -1]  # (V,)
        found.append(float(torch.softmax(logits[[a, b]], 0)[0]))
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_tokenizer_the_answers_are_llama_3s(tmp_path, engine):
    folder = language_model(tmp_path / "pair-pm")
    ids, _ = golden_cases(GOLDEN / "nemotron")
    expected = answers(folder, ids, 32, 33)
    assert np.ptp(expected) > 0.3
    assert load(folder, engine=engine).compare_tokens(ids) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_with_one_they_are_the_tokens_a_and_b(pair_pm, engine):
    tokenizer = hf.AutoTokenizer.from_pretrained(pair_pm)
    a, b = tokenizer.convert_tokens_to_ids(["A", "B"])
    assert {a, b} != {32, 33}
    ids, _ = golden_cases(GOLDEN / "nemotron")
    expected = answers(pair_pm, ids, a, b)
    assert load(pair_pm, engine=engine).compare_tokens(ids) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_reference_gives_the_same(engine):
    folder = GOLDEN.parent / "golden_pairs" / "pair-pm"
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    model = load(folder, engine=engine)
    assert model.compare_tokens([row["input_ids"] for row in rows]) == pytest.approx(
        [row["score_float64"] for row in rows], abs=5e-6
    )
    for row in rows:
        [alone] = model.compare_tokens([row["input_ids"]])
        assert alone == pytest.approx(row["score"], abs=5e-6)
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    first = model.compare_tokens([row["input_ids_chosen_first"] for row in pairs])
    second = model.compare_tokens([row["input_ids_rejected_first"] for row in pairs])
    both = [(p + 1 - q) / 2 for p, q in zip(first, second, strict=True)]
    assert both == pytest.approx([row["score"] for row in pairs], abs=5e-6)


# The authors' own, from the example on the model's card.
THEIR_CONTEXT = (
    "\n{% for message in messages %}{% if loop.index0 % 2 == 0 %}\n\n<turn> user\n "
    "{{ message['content'] }}{% else %}\n\n<turn> assistant\n {{ message['content'] }}"
    "{% endif %}{% endfor %}\n\n\n"
)
THEIR_QUESTION = "[CONTEXT] {context} [RESPONSE A] {response_A} [RESPONSE B] {response_B} \n"


def their_text(tokenizer, prompt, a, b):
    messages = [message.fields() for message in prompt]
    context = tokenizer.apply_chat_template(messages, chat_template=THEIR_CONTEXT, tokenize=False)
    question = THEIR_QUESTION.format(context=context, response_A=a, response_B=b)
    message = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(message, tokenize=False)
    return text.replace(tokenizer.bos_token, "")


@pytest.mark.parametrize(
    "prompt",
    [PROMPT, (*PROMPT, Message("assistant", "Rayleigh.\n"), Message("user", " And {first}? "))],
)
def test_the_text_is_the_authors_without_a_bos(pair_pm, prompt):
    model = load(pair_pm)
    text = their_text(model.tokenizer, prompt, "a {second}", "b <s> b")
    [fitted] = encode(model, (prompt, "a {second}", "b <s> b"))
    assert model.tokenizer.decode(fitted.ids) == text
    assert model.tokenizer.bos_token_id not in fitted.ids
    assert CONTEXT != THEIR_CONTEXT  # theirs takes a system turn for a user's
    assert model.provenance()["specials"]["bos"] == 0


def test_a_comparison_is_the_mean_of_both_orders(pair_pm):
    model = load(pair_pm)
    tokenizer = model.tokenizer
    a, b = tokenizer.convert_tokens_to_ids(["A", "B"])
    texts = [their_text(tokenizer, PROMPT, *order) for order in (("yes", "no"), ("no", "yes"))]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    first, second = answers(pair_pm, ids, a, b)
    found = model.compare("Why is {b} blue?", "yes", "no")
    assert found == pytest.approx((first + 1 - second) / 2, abs=1e-5)
    assert model.compare(PROMPT, "no", "yes") == pytest.approx(1 - found, abs=1e-9)
    assert model.compare(PROMPT, "yes", "yes") == pytest.approx(0.5, abs=1e-9)


def test_more_responses_meet_in_a_round_robin(pair_pm):
    model = load(pair_pm)
    responses = ("yes", "no", "perhaps")
    [row] = model.score_preferences([Preference("1", "s", PROMPT, responses)])
    p = [[model.compare(PROMPT, a, b) if a != b else 0.0 for b in responses] for a in responses]
    expected = [sum(against) / 2 for against in p]
    assert [score.value for score in row.scores] == pytest.approx(expected, abs=1e-6)
    assert [score.tokens for score in row.scores] == [3, 2, 7]
    assert row.comparisons.made == 6


def test_a_long_pair_loses_the_beginning_of_its_prompt(pair_pm):
    short = load(pair_pm, max_length=120)
    prompt = (Message("user", "0123456789" * 30),)
    [fitted] = encode(short, (prompt, "yes", "no"), max_length=120)
    assert len(fitted.ids) == 120
    assert fitted.truncated
    text = short.tokenizer.decode(fitted.ids)
    assert text.startswith("<|user|>")
    assert text.endswith("56789\n [RESPONSE A] yes [RESPONSE B] no \n</s>")
    [row] = short.score_preferences([Preference("1", "s", prompt, ("yes", "no"))])
    assert all(score.truncated for score in row.scores)


def test_it_has_no_reward_and_says_so(pair_pm):
    with pytest.raises(BadOption, match="compares two responses and has no reward for one"):
        rmeval.load_model(pair_pm, device="cpu")
    with pytest.raises(BadOption, match="seqcls gives rewards; load it with rmeval"):
        load(GOLDEN / "seqcls")


def test_a_language_model_of_another_name_is_none(tmp_path):
    for name in ("repair-pmx", "chat", "pairs"):
        folder = language_model(tmp_path / name)
        with pytest.raises(BadCheckpoint, match="no model adapter"):
            load(folder)


@pytest.mark.parametrize(
    ("prompt", "a", "b"), [("", 1, "b"), ("q", "a", None), ([], "a", "b"), (3, "a", "b")]
)
def test_what_is_no_text_is_refused(pair_pm, prompt, a, b):
    with pytest.raises(BadData):
        load(pair_pm).compare(prompt, a, b)


def test_ids_are_taken_as_they_are_or_refused(pair_pm):
    model = load(pair_pm)
    for ids in ([], [10**6], [-1]):
        with pytest.raises(BadData):
            model.compare_tokens([ids])


# PairRM: a tiny DeBERTa with two layers of a head on its markers' states.
MARKERS = ("<|source|>", "<|candidate1|>", "<|candidate2|>", "<|candidate|>")
DEBERTA = {
    "model_type": "deberta-v2",
    "architectures": ["DebertaV2PairRM"],
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "relative_attention": True,
    "position_buckets": 16,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "vocab_size": 280,
    "drop_out": 0.05,
    "n_tasks": 2,
}


def add_deberta_tokenizer(folder):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *alphabet]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    fast = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.add_tokens(list(MARKERS), special_tokens=True)
    fast.save_pretrained(folder)
    return fast.convert_tokens_to_ids(list(MARKERS))


@pytest.fixture
def pairrm(tmp_path):
    folder = tmp_path / "PairRM-hf"
    folder.mkdir()
    source, first, second, _ = add_deberta_tokenizer(folder)
    ids = {"source_prefix_id": source, "cand1_prefix_id": first, "cand2_prefix_id": second}
    config = {**DEBERTA, **ids}
    torch.manual_seed(5)
    body = hf.DebertaV2Model(hf.DebertaV2Config(**config))
    tensors = {f"pretrained_model.{key}": 3 * t for key, t in body.state_dict().items()}
    tensors |= {
        "head_layer.1.weight": torch.randn(32, 64) / 4,
        "head_layer.1.bias": torch.randn(32),
        "head_layer.4.weight": torch.randn(2, 32),
        "head_layer.4.bias": torch.randn(2),
    }
    return write_checkpoint(folder, config, tensors)


def log_odds(folder, ids):
    """The head on the markers' states, in float64, one sequence at a time."""
    from safetensors.torch import load_file

    tensors = {k: t.double() for k, t in load_file(folder / "model.safetensors").items()}
    config = hf.DebertaV2Config(**json.loads((folder / "config.json").read_text()))
    body = hf.DebertaV2Model(config).double().eval()
    prefix = "pretrained_model."
    state = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
    body.load_state_dict(state)
    with torch.inference_mode():
        states = body(torch.tensor([ids]))[0][0]  # (L, H)
    source, *candidates = (
        states[ids.index(getattr(config, f"{name}_prefix_id"))]
        for name in ("source", "cand1", "cand2")
    )
    scores = []
    for candidate in candidates:
        inner = tensors["head_layer.1.weight"] @ torch.cat([source, candidate])
        inner = torch.tanh(inner + tensors["head_layer.1.bias"])
        scores.append(tensors["head_layer.4.weight"] @ inner + tensors["head_layer.4.bias"])
    return float((scores[0] - scores[1]).mean())


def test_pairrm_scores_both_candidates_by_their_markers(pairrm):
    model = load(pairrm)
    assert model.engine.reason == "it pools for itself"
    shown = [(PROMPT, "yes", "no"), (PROMPT, "no " * 40, "y"), ((Message("user", "?"),), "", "x")]
    ids = [list(fitted.ids) for fitted in encode(model, *shown)]
    text = "[CLS]<|source|>Why is {b} blue?[SEP][CLS]<|candidate1|>yes[SEP]"
    assert model.tokenizer.decode(ids[0]) == text + "[CLS]<|candidate2|>no[SEP]"
    expected = [1 / (1 + np.exp(-log_odds(pairrm, row))) for row in ids]
    assert np.ptp(expected) > 0.05
    assert model.compare_tokens(ids) == pytest.approx(expected, abs=2e-5)
    alone = [model.compare_tokens([row])[0] for row in ids]
    assert alone == pytest.approx(expected, abs=2e-5)


def test_pairrm_fills_the_blanks_of_a_chat(pairrm):
    model = load(pairrm)
    prompt = (Message("user", "A?"), Message("assistant", "B."), Message("user", "C?"))
    [fitted] = encode(model, (prompt, "D.", "E."))
    given = "<Response 1>: B.\n<Response 2>: "
    assert model.tokenizer.decode(fitted.ids) == (
        f"[CLS]<|source|>{CHAT}USER: A?\nAssistant: <Response 1>\nUSER: C?\n"
        f"Assistant: <Response 2>[SEP][CLS]<|candidate1|>{given}D.[SEP]"
        f"[CLS]<|candidate2|>{given}E.[SEP]"
    )


def test_pairrm_has_no_use_for_a_chat_template(pairrm):
    with pytest.raises(BadOption, match="`chat_template=`: pairrm renders texts in its own way"):
        load(pairrm, chat_template="ultrarm").provenance()


def test_pairrm_cuts_each_text_at_its_end(pairrm):
    model = load(pairrm)
    prompt = (Message("user", "p" * 3000),)
    [fitted] = encode(model, (prompt, "a" * 3000, "b"))
    text = model.tokenizer.decode(fitted.ids)
    assert fitted.truncated
    cls, marker, sep = "[CLS]", "<|source|>", "[SEP]"
    assert text.startswith(cls + marker + "p" * (1224 - 3) + sep)
    assert text[len(cls + marker) + 1224 - 3 + len(sep) :].startswith(
        "[CLS]<|candidate1|>" + "a" * (412 - 3) + "[SEP][CLS]<|candidate2|>b[SEP]"
    )
    assert len(fitted.ids) == 1224 + 412 + 4
    assert model.max_length == 2048


def test_a_marker_in_the_data_is_text(pairrm):
    model = load(pairrm)
    prompt = (Message("user", "x <|candidate1|> y"),)
    [row] = model.score_preferences([Preference("1", "s", prompt, ("<|source|>", "b"))])
    [fitted] = encode(model, (prompt, "<|source|>", "b"))
    for marker in model.tokenizer.convert_tokens_to_ids(list(MARKERS[:3])):
        assert fitted.ids.count(marker) == 1
    assert 0 < row.scores[0].value < 1


def test_pairrm_refuses_a_prompt_that_is_no_chat_by_its_row(pairrm):
    prompt = (Message("system", "Be brief."), Message("user", "q"))
    rows = [
        Preference("1", "s", PROMPT, ("a", "b")),
        Preference("2", "s", prompt, ("a", "b")),
    ]
    with pytest.raises(BadConversation, match=r"preference 2 \(s\), responses 1 and 2: PairRM"):
        load(pairrm).score_preferences(rows)


def test_a_missing_head_weight_is_named(pairrm):
    tensors = read_tensors(pairrm)
    del tensors["head_layer.4.bias"]
    write_tensors(pairrm, tensors)
    with pytest.raises(BadCheckpoint, match=r"head_layer\.4\.bias"):
        load(pairrm)


def test_probabilities_never_leave_0_to_1_and_keep_their_order(pair_pm, monkeypatch):
    odds = [-1e4, -800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4]
    monkeypatch.setattr(pairwise, "score_sequences", lambda *_: odds)
    found = load(pair_pm).compare_tokens([[1]] * len(odds))
    assert found[4] == 0.5
    assert all(0 <= a <= b <= 1 for a, b in itertools.pairwise(found))
    assert found[0] < found[3] < found[5] < found[7] == 1


def test_a_call_of_a_tool_is_refused_and_not_left_out(pair_pm):
    call = {"role": "assistant", "content": "", "tool_calls": [{"name": "look"}]}
    with pytest.raises(BadData, match="has tool_calls, and pairwise models"):
        load(pair_pm).compare("Why?", call, "no")
    with pytest.raises(BadData, match="has tools, and pairwise models"):
        load(pair_pm).compare({"messages": PROMPT, "tools": [{"name": "look"}]}, "yes", "no")
