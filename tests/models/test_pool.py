"""The scored token of every family, against transformers' own classes and by hand."""

import json

import pytest
import torch
import transformers as hf
from checkpoints import edit_config
from readable import load, readable

from rmeval.cli import main
from rmeval.engine.plan import Pool
from rmeval.errors import BadCheckpoint, BadOption, BadPlugin, UnknownName
from rmeval.evaluation import scoring_provenance, store_settings
from rmeval.load_options import LoadOptions
from rmeval.models.load import load_scorer

EOS = 7
SIZES = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "num_labels": 1,
}
SEQUENCES = [
    [1, 12, EOS, 13, 14, EOS],  # pad = eos ends every turn
    [1, 12, EOS, 13, 15, EOS],
    [1, 12, EOS, 13, 14, EOS, 16],  # and a line break after it
    [1, 12, EOS, EOS, EOS],
    [1, 12, 13, 14],
    [EOS, 12],
    [EOS],
    [EOS, EOS, EOS],
    [1, 0, 2, 0, 0],
    [0, 0],
    [0],
    [5, 9, 3, 20, 5, 9],
    list(range(8, 32)),
    [*range(8, 30), 0],
]
CLASSES = {
    "llama": lambda pad: hf.LlamaForSequenceClassification(
        hf.LlamaConfig(**SIZES, pad_token_id=pad)
    ),
    "qwen2": lambda pad: hf.Qwen2ForSequenceClassification(
        hf.Qwen2Config(**SIZES, pad_token_id=pad)
    ),
    "mistral": lambda pad: hf.MistralForSequenceClassification(
        hf.MistralConfig(**SIZES, pad_token_id=pad, sliding_window=6)
    ),
    "gemma": lambda pad: hf.GemmaForSequenceClassification(
        hf.GemmaConfig(**SIZES, head_dim=8, pad_token_id=pad)
    ),
    "gemma2": lambda pad: hf.Gemma2ForSequenceClassification(
        hf.Gemma2Config(**SIZES, head_dim=8, pad_token_id=pad, attn_implementation="eager")
    ),
    "gpt2": lambda pad: hf.GPT2ForSequenceClassification(
        hf.GPT2Config(
            vocab_size=32, n_embd=32, n_layer=2, n_head=4, n_positions=64, num_labels=1,
            pad_token_id=pad, bos_token_id=1, eos_token_id=EOS,
        )
    ),
}  # fmt: skip
PADS = {"none": None, "eos of every turn": EOS, "a token of its own": 31, "0": 0, "20": 20}


def make(name, folder, pad):
    """Saves transformers' own class with random weights, and returns it."""
    torch.manual_seed(0)
    network = CLASSES[name](pad).eval()
    for parameter in network.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, 0, 0.3)
    network.save_pretrained(folder)
    return network


@torch.inference_mode()
def one_at_a_time(network, sequences=SEQUENCES):
    return [float(network(torch.tensor([ids])).logits) for ids in sequences]


def near(expected):
    return pytest.approx(expected, abs=5e-5, rel=0)


@pytest.mark.parametrize("pad", PADS.values(), ids=PADS)
@pytest.mark.parametrize("name", CLASSES)
def test_scores_are_the_class_one_at_a_time_whatever_the_pad_token(tmp_path, name, pad):
    expected = one_at_a_time(make(name, tmp_path, pad))
    for engine in ("packed", "padded"):
        model = load(tmp_path, engine=engine, batch_tokens=40)  # a few unlike lengths together
        assert model.network.pool == Pool("last-not-pad", pad)
        assert model.score_tokens(SEQUENCES) == near(expected)


def test_the_pad_token_that_ends_every_turn_is_not_read(tmp_path):
    make("llama", tmp_path, EOS)
    model = load(tmp_path)
    ended, open_ended = model.score_tokens([[1, 12, 13, EOS], [1, 12, 13]])
    assert ended == near(open_ended)
    assert load(tmp_path, pool="last").score_tokens([[1, 12, 13, EOS]])[0] != near(ended)


def test_a_pad_token_that_config_json_leaves_to_the_class_is_the_class_own(tmp_path):
    """Gemma's configuration has 0 where nothing is said."""
    make("gemma", tmp_path, 0)
    edit_config(tmp_path, remove=("pad_token_id",))
    theirs = hf.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert theirs.config.pad_token_id == 0
    assert load(tmp_path).score_tokens(SEQUENCES) == near(one_at_a_time(theirs))


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_a_rule_that_is_asked_for_takes_the_place_of_the_familys(tmp_path, engine):
    theirs = make("llama", tmp_path, EOS)
    for rule, cut in [
        ("last", [1, 12, EOS, 13, 14, EOS]),
        ("last-not-pad", [1, 12, EOS, 13, 14]),
        ("before-first-pad", [1, 12]),
    ]:
        model = load(tmp_path, engine=engine, pool=rule)
        theirs.config.pad_token_id = None
        assert model.score_tokens(SEQUENCES)[0] == near(one_at_a_time(theirs, [cut])[0])


OWN_RULES = {
    "beaver-cost": "last",
    "grm-linear": "last",
    "grm-mlp": "last",
    "inform": "before-first-pad",
    "internlm2": "last",
    "nemotron": "last",
    "seqcls": "last-not-pad",
    "starling": "before-first-pad",
    "ultrarm": "last",
}


@pytest.mark.parametrize(("layout", "rule"), OWN_RULES.items())
def test_every_layout_has_its_authors_rule(tmp_path, layout, rule):
    """After the scored token the text may go on as it likes: a causal state does not see it."""
    model, by_position = (load(readable(tmp_path, layout), pool=pool) for pool in (None, "last"))
    assert model.network.pool.rule == rule
    pad = model.network.pool.pad_token_id or 0
    ids = [1, 30, pad, 31, 32, pad]
    first, not_pad, last = by_position.score_tokens([ids[:2], ids[:5], ids])
    assert len({round(first, 3), round(not_pad, 3), round(last, 3)}) == 3
    expected = {"last": last, "last-not-pad": not_pad, "before-first-pad": first}[rule]
    assert model.score_tokens([ids]) == near([expected])


def test_starlings_pad_token_is_0_whatever_config_json_says(tmp_path):
    folder = readable(tmp_path, "starling")
    edit_config(folder, pad_token_id=30)
    assert load(folder).network.pool == Pool("before-first-pad", 0)


def test_provenance_says_the_rule_who_chose_it_and_what_it_reads(tmp_path):
    folder = readable(tmp_path / "model")
    edit_config(folder, pad_token_id=2)
    said = load(folder).provenance()["pool"]
    assert (said["rule"], said["pad_token_id"], said["from"]) == ("last-not-pad", 2, "its family")
    assert (said["token"]["text"], said["after"]) == ("x", "</s>")
    asked = load(folder, pool="last").provenance()["pool"]
    assert (asked["rule"], asked["from"]) == ("last", "asked for")
    assert (asked["token"], asked["after"]) == ({"id": 2, "text": "</s>"}, "")


def test_scores_under_another_rule_are_kept_apart(tmp_path):
    folder = readable(tmp_path / "model")
    keys = {
        json.dumps(store_settings(scoring_provenance(load(folder, pool=rule))))
        for rule in (None, "last", "before-first-pad")
    }
    assert len(keys) == 3


def test_what_pools_for_itself_takes_no_rule(tmp_path):
    config = hf.BertConfig(**{key: SIZES[key] for key in SIZES if key != "num_key_value_heads"})
    hf.BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(BadOption, match="`pool='last'`: this model pools for itself"):
        load(tmp_path, pool="last")


def test_a_rule_that_is_none_is_refused(tmp_path):
    make("llama", tmp_path, None)
    with pytest.raises(UnknownName, match="unknown pool 'lst'; did you mean 'last'"):
        load(tmp_path, pool="lst")
    with pytest.raises(BadOption, match="`pool=` is for a model with a head"):
        load_scorer(tmp_path, LoadOptions(pool="last", reference="none"))


def test_an_adapter_with_a_rule_that_is_none_is_refused(tmp_path, monkeypatch):
    make("llama", tmp_path, None)
    monkeypatch.setattr("rmeval.models.families.starling.Starling.pool", "first")
    with pytest.raises(BadPlugin, match="pool is 'first'; it must be one of last, last-not-pad"):
        load(tmp_path)


def test_the_command_line_takes_a_rule_and_keeps_it_beside_the_scores(tmp_path, capsys):
    folder = readable(tmp_path / "model")
    edit_config(folder, pad_token_id=2)
    talk = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"messages": talk}))
    command = ["score", "--model", str(folder), "--device", "cpu", "--pool", "last"]
    files = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    assert main([*command, *files]) == 0
    kept = json.loads((tmp_path / "out.jsonl").read_text())["score"]
    assert kept == near(load(folder, pool="last").score([talk])[0])
    said = json.loads((tmp_path / "out.jsonl.provenance.json").read_text())["model"]["pool"]
    assert (said["rule"], said["from"]) == ("last", "asked for")
    assert main([*command[:-1], "first", *files]) == 2
    assert "unknown pool 'first'" in capsys.readouterr().err


def test_a_class_that_is_told_to_pool_otherwise_is_refused(tmp_path):
    """transformers' CohereCompassTextForSequenceClassification takes "eos", "bos" or "mean"."""
    theirs = make("llama", tmp_path, EOS)
    edit_config(tmp_path, pooling="eos")
    assert load(tmp_path).score_tokens(SEQUENCES) == near(one_at_a_time(theirs))
    edit_config(tmp_path, pooling="mean")
    with pytest.raises(BadCheckpoint, match="pooling is 'mean'"):
        load(tmp_path)
