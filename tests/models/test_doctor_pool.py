"""The doctor on the scored token: what it says of it, and how it finds that it is the wrong one."""

import logging

import pytest
import torch
import transformers as hf
from checkpoints import edit_config, read_tensors, write_tensors
from readable import PAIRS, TURNS, add_tokenizer, examine, failed, load, readable, warned

from rmeval.models.doctor.examination import require_sound
from rmeval.models.doctor.scored_token import check_scored_token
from rmeval.models.doctor.scores import _alone_in_float32, make_probe
from rmeval.models.doctor.transformers_class import check_transformers
from rmeval.records import Preference

END = 2  # </s>, which ends every turn
TALKS = [talk for pair in PAIRS for talk in pair.conversations()]


@pytest.fixture
def ended(tmp_path):
    """A classifier whose pad token ends every turn, as TRL leaves it without a pad token."""
    folder = readable(tmp_path / "model", pad_token="</s>")
    edit_config(folder, pad_token_id=END)
    return folder


def scored(folder, pairs=PAIRS, **options):
    model = load(folder, **options)
    ids = [model.encode(talk) for pair in pairs for talk in pair.conversations()]
    return check_scored_token(make_probe(model, ids, len(pairs)))


def test_a_sound_model_whose_pad_token_ends_every_turn_passes_and_is_told_as_it_is(ended):
    checks = examine(ended)
    assert (failed(checks), warned(checks)) == ([], [])
    assert checks["transformers"].status == "pass"
    end = checks["end token"].finding
    assert end == (
        "the reward is read from '.' (16), last-not-pad with 2 as pad; after it stands '</s>'"
    )
    told = checks["pad in text"].finding
    assert "'</s>' (2) in every text is read, and passed over where it ends the text: " in told


def test_the_counts_of_every_rule_are_told_where_they_differ(ended):
    model = load(ended)
    by_position = load(ended, pool="last")
    counts = []
    for each in (model, by_position):
        rewards = each.score(TALKS)
        counts.append(sum(a > b for a, b in zip(rewards[::2], rewards[1::2], strict=True)))
    check = scored(ended)
    assert check.status == "pass"
    assert check.finding.startswith("last-not-pad, not last or before-first-pad; of 6 pairs")
    assert f"chosen wins by last-not-pad {counts[0]}, last {counts[1]}, " in check.finding
    asked = scored(ended, pool="last")
    assert asked.finding.startswith("last (asked for), not last-not-pad or before-first-pad; ")


def test_where_every_rule_reads_the_same_token_nothing_is_computed(tmp_path):
    check = scored(readable(tmp_path))
    assert check.finding == "last-not-pad; every other rule reads the same token of 12 texts"


@pytest.mark.parametrize("trace", ["training_args.bin", "trainer_state.json"])
def test_traces_of_transformers_trainer_speak_for_the_class(ended, trace):
    (ended / trace).write_bytes(b"")
    assert scored(ended).status == "pass"
    check = scored(ended, pool="last")
    assert (check.status, check.advice) == (
        "warn",
        f"training most likely read last-not-pad ({trace} is of transformers' Trainer, whose class "
        "has it): pass `pool='last-not-pad'`",
    )


def test_traces_of_openrlhf_speak_for_the_last_token(ended, caplog):
    edit_config(ended, value_head_prefix="score")
    (ended / "training_args.bin").write_bytes(b"")
    check = scored(ended)
    assert check.status == "warn"
    assert check.advice.startswith("training most likely read last (config.json has OpenRLHF's")
    assert check.advice.endswith("pass `pool='last'`")
    assert scored(ended, pool="last").status == "pass"
    with caplog.at_level(logging.WARNING, logger="rmeval"):
        require_sound(load(ended), TALKS)  # as a run does
    assert [r.message for r in caplog.records if "pass `pool='last'`" in r.message]


def test_without_a_trace_significantly_more_pairs_won_speak_for_a_rule(ended):
    """Which of two texts is called chosen is turned so that the last token wins every pair."""
    model, by_position = load(ended), load(ended, pool="last")
    texts = [str(number) for number in range(40)]
    pairs = []
    for a, b in zip(texts[::2], texts[1::2], strict=True):
        row = Preference(a, "any", PAIRS[0].prompt, (a, b))
        last, ours = (m.score(list(row.conversations())) for m in (by_position, model))
        if (last[0] > last[1]) != (ours[0] > ours[1]):
            chosen = (a, b) if last[0] > last[1] else (b, a)
            pairs.append(Preference(a, "any", PAIRS[0].prompt, chosen))
    assert len(pairs) >= 6
    check = scored(ended, pairs)
    assert check.status == "warn"
    assert f"last {len(pairs)}" in check.finding
    assert f"read last ({len(pairs)} more pairs won, p = 0.0" in check.advice
    assert scored(ended, pairs[:5]).status == "pass"  # two-sided p = 0.0625


def test_a_rule_that_was_asked_for_is_kept_by_the_copy_in_float32(ended):
    model = load(ended, pool="last")
    probe = make_probe(model, [model.encode(talk) for talk in TALKS], 6)
    assert _alone_in_float32(model, probe.ids) == probe.rewards
    assert check_transformers(probe).finding == (
        "`pool='last'` was asked for; its class has last-not-pad"
    )


def test_in_text_the_first_pad_token_ends_what_some_families_score(tmp_path):
    checks = examine(readable(tmp_path, "starling"))
    told = checks["pad in text"]
    assert "'<pad>' (0) in a text ends what is scored: " in told.finding


def test_a_tools_left_padding_of_a_pad_token_at_the_end_is_read_as_the_class_does(ended):
    assert examine(ended)["left padding"].status == "pass"


SIZES = {
    "vocab_size": 259,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 1024,
    "num_labels": 1,
}


def bert(folder):
    torch.manual_seed(0)
    network = hf.BertForSequenceClassification(hf.BertConfig(**SIZES, pad_token_id=0)).eval()
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    network.save_pretrained(folder)
    add_tokenizer(folder)
    return folder


def test_encoders_are_compared_with_transformers_too(tmp_path):
    checks = examine(bert(tmp_path))
    assert checks["transformers"].status == "pass"
    assert checks["scored token"].finding == "the model pools for itself"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_compared_within_its_rounding(ended, dtype):
    assert examine(ended, dtype=dtype)["transformers"].status == "pass"


def test_rewards_that_are_not_the_class_fail_by_name(ended, monkeypatch):
    monkeypatch.setattr("rmeval.models.families.classifier.Classifier.pool", "last")
    checks = examine(ended)
    assert failed(checks) == ["transformers"]
    assert "please report" in checks["transformers"].advice


def test_a_weight_that_transformers_does_not_find_is_no_comparison(ended):
    model = load(ended)
    probe = make_probe(model, [model.encode(talk) for talk in TALKS], 6)
    weights = read_tensors(ended)
    write_tensors(ended, {key: w for key, w in weights.items() if key != "score.weight"})
    check = check_transformers(probe)
    assert (check.status, check.finding) == (
        "skipped",
        "it leaves score.weight (1 in all) without weights",
    )


def test_remote_code_and_other_families_are_not_compared(ended, tmp_path):
    edit_config(ended, auto_map={"AutoModelForSequenceClassification": "modeling.Mine"})
    assert "remote code" in examine(ended)["transformers"].finding
    other = examine(readable(tmp_path / "other", "internlm2", TURNS))["transformers"]
    assert (other.status, other.finding) == ("skipped", "it has no class for this model")


def test_a_folder_that_transformers_cannot_read_is_skipped_with_the_reason(ended, monkeypatch):
    def broken(*_, **__):
        raise OSError("no file\nof that name")

    monkeypatch.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", broken)
    check = examine(ended)["transformers"]
    assert check.finding == "it does not run this folder (OSError: no file)"
