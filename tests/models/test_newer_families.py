"""Athene-RM, Qwen2.5-Math-RM and WorldPM, AceCodeRM, QRM v2: held to transformers' own bodies.

The heads and the scored tokens are those of the authors' classes, written out for one sequence.
"""

import json

import pytest
import torch
from checkpoints import TOLERANCE, copy_golden, write_checkpoint
from readable import add_tokenizer
from torch import nn
from transformers import LlamaConfig, LlamaModel, Qwen2Config, Qwen2ForCausalLM

import rmeval
from rmeval.known import known_checkpoints
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.families import detect_family
from rmeval.models.limits import choose_max_length
from rmeval.models.network import Network

HIDDEN = 16
SIZES = {
    "hidden_size": HIDDEN,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
}
CLS = 128_003
PAD = 7
SEQUENCES = [[5, 9, 31, 8], [5, 9, 31, 8, 8, 200, 3], [44], [5, PAD, 9, PAD, 12]]


def write(folder, body, prefix, head, architecture, **config):
    tensors = {prefix + name: weight for name, weight in body.state_dict().items()}
    saved = {**body.config.to_dict(), "architectures": [architecture], **config}
    return write_checkpoint(folder, saved, {**tensors, **head})


@torch.no_grad()
def states(body, ids):
    """The last hidden states of one sequence, (L, H), in transformers' own model."""
    return body(torch.tensor([ids]), use_cache=False).last_hidden_state[0]


def loud(module):
    for weight in module.requires_grad_(False).parameters():
        nn.init.normal_(weight, std=0.2)
    return module.eval()


@pytest.fixture(scope="module")
def athene(tmp_path_factory):
    torch.manual_seed(0)
    body = loud(LlamaModel(LlamaConfig(**SIZES, vocab_size=CLS + 1)))
    head = {"v_head.weight": torch.randn(1, HIDDEN)}
    name = "CustomAutoModelForSequenceClassification"
    folder = write(tmp_path_factory.mktemp("athene"), body, "model.", head, name)
    add_tokenizer(folder)
    return folder, body, head["v_head.weight"]


def test_athene_reads_its_reward_at_the_token_that_ends_every_text(athene):
    folder, body, head = athene
    model = rmeval.load_model(folder, device="cpu")
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    ids = model.encode(talk)
    assert (model.family.name, ids[-1], ids.count(CLS)) == ("athene", CLS, 1)
    assert model.score([talk]) == pytest.approx([float(head @ states(body, ids)[-1])], abs=1e-4)
    assert model.max_length == 4096
    assert model.policy() == ("tokenizer", "its family, athene")


def test_athene_is_told_by_class_or_name_and_never_by_its_head_alone(athene, tmp_path):
    _, body, head = athene
    under = "LlamaForSequenceClassification"
    folder = write(tmp_path / "some-model", body, "model.", {"v_head.weight": head}, under)
    with pytest.raises(rmeval.RmevalError, match=r"looks like athene; .*pass `family='athene'`"):
        detect_family(open_checkpoint(str(folder)))
    assert rmeval.load_model(folder, family="athene", weights=False).family.name == "athene"
    named = folder.rename(tmp_path / "Athene-RM-8B")
    assert detect_family(open_checkpoint(str(named))).name == "athene"


@pytest.fixture(scope="module")
def qwen():
    torch.manual_seed(1)
    return loud(Qwen2ForCausalLM(Qwen2Config(**SIZES, vocab_size=256, pad_token_id=PAD)))


def test_qwens_reward_models_have_a_head_of_two_layers_before_the_first_pad(qwen, tmp_path):
    head = loud(nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)))
    weights = {f"score.{name}": weight for name, weight in head.state_dict().items()}
    folder = write(tmp_path, qwen.model, "model.", weights, "Qwen2ForRewardModel")
    model = rmeval.load_model(folder, device="cpu")
    expected = []
    for ids in SEQUENCES:
        at = (ids.index(PAD) if PAD in ids else len(ids)) - 1
        expected.append(float(head(states(qwen.model, ids)[at])))
    assert (model.family.name, model.family.specials) == ("qwen-rm", "template")
    assert model.score_tokens(SEQUENCES) == pytest.approx(expected, abs=TOLERANCE)


def test_two_outputs_are_no_outcome_reward_model(qwen, tmp_path):
    weights = {"score.0.weight": torch.ones(HIDDEN, HIDDEN), "score.0.bias": torch.ones(HIDDEN)}
    weights |= {"score.2.weight": torch.ones(2, HIDDEN), "score.2.bias": torch.ones(2)}
    folder = write(tmp_path, qwen.model, "model.", weights, "Qwen2ForRewardModel")
    with pytest.raises(rmeval.RmevalError, match="gives 2 labels; a reward model gives one"):
        rmeval.load_model(folder, device="cpu")


def test_acecoderm_is_a_value_head_on_the_last_token(qwen, tmp_path):
    head = loud(nn.Linear(HIDDEN, 1))
    weights = {f"v_head.summary.{name}": weight for name, weight in head.state_dict().items()}
    weights["lm_head.weight"] = qwen.lm_head.weight
    folder = write(tmp_path, qwen.model, "model.", weights, "Qwen2ForCausalRM")
    model = rmeval.load_model(folder, device="cpu")
    expected = [float(head(states(qwen.model, ids)[-1])) for ids in SEQUENCES]
    assert (model.family.name, model.family.specials) == ("grm", "template")
    assert model.score_tokens(SEQUENCES) == pytest.approx(expected, abs=TOLERANCE)


def test_known_checkpoints_say_how_long_a_text_their_authors_read(qwen):
    known = known_checkpoints()
    skywork = [facts for name, facts in known.items() if "Skywork-Reward-V2" in name]
    assert {(facts.max_length, facts.specials) for facts in skywork} == {(16_384, "once")}
    assert len(skywork) == 8
    network = Network(qwen.model, nn.Linear(HIDDEN, 1))
    assert choose_max_length(None, network, None, 4000) == 4000
    assert choose_max_length(None, network, None, 16_384) == 8192
    assert choose_max_length(5000, network, None, 4000) == 5000


def test_a_folder_called_as_on_the_hub_is_cut_to_its_authors_length(qwen, tmp_path):
    folder = copy_golden("seqcls", tmp_path / "Skywork-Reward-V2-Llama-3.1-8B")
    text = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**text, "max_position_embeddings": 131_072}))
    assert rmeval.load_model(folder, weights=False).max_length == 16_384
    assert rmeval.load_model(folder, weights=False, max_length=20_000).max_length == 20_000
    other = folder.rename(tmp_path / "another")
    assert rmeval.load_model(other, weights=False).max_length == 131_072
