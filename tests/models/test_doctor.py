"""The doctor's checks: sound models pass, and models broken on purpose are caught, by name."""

import json
import math
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from checkpoints import read_tensors, write_tensors
from conftest import GOLDEN
from full_memory import FULL
from readable import (
    PAIRS,
    TEMPLATE,
    add_tokenizer,
    examine,
    failed,
    load,
    readable,
    warned,
)

import rmeval
from rmeval.benchmarks import load_benchmark
from rmeval.engine.forward import Numbers
from rmeval.engine.packable import sees_padding
from rmeval.engine.scoring import Engine
from rmeval.errors import BadCheckpoint, BadOption
from rmeval.models import loading
from rmeval.models.doctor import disguises
from rmeval.models.doctor.check import Check, is_healthy, verdict, worst_of
from rmeval.models.doctor.examination import (
    cheap_checks,
    check_model,
    check_pad_in_text,
    require_sound,
)
from rmeval.models.doctor.scores import (
    Probe,
    check_batch,
    check_float32,
    check_packed,
    make_probe,
)
from rmeval.records import Message
from rmeval.scorer import told_after

TALKS = [talk for pair in PAIRS for talk in pair.conversations()]
LAYOUTS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
HEADS = {
    "grm-linear": "v_head.summary.weight",
    "internlm2": "v_head.weight",
    "seqcls": "score.weight",
}


def as_remote_code_is_loaded(*_):
    """Its weights are not rmeval's to look at one by one."""


@pytest.fixture
def golden(tmp_path):
    return partial(readable, tmp_path / "model")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_models_of_every_layout_pass_every_check(golden, layout):
    checks = examine(golden(layout))
    assert list(checks) == [
        *("weights", "files", "template", "vocabulary", "contents", "BOS", "EOS", "date"),
        *("end token", "truncation"),
        *("finite", "scored token", "pad in text", "alone = batch", "alone = packed"),
        *("left padding", "float32", "transformers", "disguises"),
    ]
    statuses = {name: check.status for name, check in checks.items()}
    assert statuses.pop("disguises") in ("pass", "skipped")  # by chance none may be won
    assert statuses.pop("float32") == "skipped"  # float32 is what it runs in
    assert (statuses.pop("transformers") == "pass") == (layout == "seqcls")
    assert set(statuses.values()) == {"pass"}
    assert verdict(list(checks.values())) == "fit to run"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_precision_is_compared_with_float32_and_fits(golden, layout, dtype):
    checks = examine(golden(layout), dtype=dtype)
    assert failed(checks) == []
    assert checks["alone = batch"].status == checks["alone = packed"].status == "pass"
    told = checks["float32"].finding
    assert "of 6 verdicts flip" in told
    assert "largest difference 0.0e+00" not in told  # another network was computed


def test_the_demonstration_model_passes():
    checks = check_model(rmeval.load_model("demo", device="cpu"), PAIRS)
    assert {check.status for check in checks} == {"pass", "skipped"}


def test_the_verdict_counts_warnings_and_names_failures():
    good, odd, bad = (Check(s, s, "") for s in ("pass", "warn", "fail"))
    assert (verdict([good]), is_healthy([good])) == ("fit to run", True)
    assert (verdict([good, odd]), is_healthy([odd])) == ("fit to run, with 1 warning", True)
    assert verdict([odd, odd]) == "fit to run, with 2 warnings"
    assert (verdict([odd, bad, bad]), is_healthy([odd, bad])) == (
        "not fit to run: fail, fail",
        False,
    )


def test_differences_are_told_in_the_spread_of_the_rewards_and_in_verdicts():
    probe = Probe(None, [], 2, [4.0, 0.0, 0.0, 4.0])  # spread 2; won, lost
    same = probe.compare("x", [4.0, 0.0, 0.0, 4.0], (0.05, 0.5), "do")
    assert (same.status, same.advice) == ("pass", "")
    near = probe.compare("x", [4.0, 0.5, 0.0, 4.0], (0.05, 0.5), "do")
    assert (near.status, near.advice) == ("warn", "do")
    assert "5.0e-01 (25 % of the rewards' spread), 0 of 2 verdicts flip" in near.finding
    far = probe.compare("x", [4.0, 0.0, 6.0, 4.0], (0.05, 0.5), "do")
    assert far.status == "fail"
    assert "6.0e+00 (3e+02 % of the rewards' spread), 1 of 2 verdicts flip" in far.finding
    assert probe.compare("x", [math.nan, 0.0, 0.0, 2.0], (0.05, 0.5), "do").status == "fail"


@pytest.mark.parametrize("layout", HEADS)
def test_a_head_of_zeros_is_caught(golden, layout):
    folder = golden(layout)
    tensors = read_tensors(folder)
    write_tensors(folder, {**tensors, HEADS[layout]: torch.zeros_like(tensors[HEADS[layout]])})
    checks = examine(folder)
    assert failed(checks) == ["finite"]
    assert "all 21 rewards are" in checks["finite"].finding


def test_a_head_with_a_nan_is_caught_in_the_weights_and_in_the_rewards(golden, monkeypatch):
    monkeypatch.setattr(loading, "_require_finite", as_remote_code_is_loaded)
    folder = golden()
    tensors = read_tensors(folder)
    tensors["score.weight"][0, 3] = math.nan
    write_tensors(folder, tensors)
    checks = examine(folder)
    assert failed(checks) == ["weights", "finite"]
    assert "head.weight" in checks["weights"].finding
    assert "rewards are NaN or infinite" in checks["finite"].finding


@pytest.mark.parametrize(("dtype", "caught"), [("float16", ["finite"]), ("bfloat16", [])])
def test_an_overflow_of_float16_is_caught(golden, dtype, caught):
    folder = golden()
    grown = ("gate_proj", "up_proj")
    write_tensors(
        folder,
        {k: 300 * t if any(g in k for g in grown) else t for k, t in read_tensors(folder).items()},
    )
    assert failed(examine(folder, dtype=dtype)) == caught


def saved(folder, model_class, config):
    torch.manual_seed(0)
    model = model_class(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    add_tokenizer(folder)
    return folder


SIZES = {
    "vocab_size": 259,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 1024,
    "pad_token_id": None,
    "num_labels": 1,
}


@pytest.fixture
def both_ways(tmp_path):
    """A model whose attention sees the padding, loaded as if it did not."""
    config = hf.Gemma3TextConfig(
        **SIZES, head_dim=8, query_pre_attn_scalar=8, use_bidirectional_attention=True
    )
    model = load(saved(tmp_path, hf.Gemma3TextForSequenceClassification, config))
    assert sees_padding(model.network)
    return model


def test_a_model_that_sees_padding_passes_as_it_is_run_and_fails_when_padded(both_ways):
    ids = [both_ways.encode(talk) for talk in TALKS]
    check = check_batch(make_probe(both_ways, ids, 6))
    assert (check.status, "only equal lengths share a batch" in check.finding) == ("pass", True)
    marked = [[*ids[0][:-1], 0, ids[0][-1]], *ids[1:]]
    assert check_pad_in_text(make_probe(both_ways, marked, 6)).status == "pass"
    both_ways.network.may_pad = True
    assert check_batch(make_probe(both_ways, ids, 6)).status == "fail"
    assert check_pad_in_text(make_probe(both_ways, marked, 6)).status == "fail"


def test_a_pack_that_is_not_exact_is_caught(both_ways):
    ids = [both_ways.encode(talk) for talk in TALKS]
    check = check_packed(make_probe(both_ways, ids, 6))
    assert (check.status, "takes the padded path: " in check.finding) == ("skipped", True)
    object.__setattr__(both_ways, "engine", Engine(4096, packed=True))
    check = check_packed(make_probe(both_ways, ids, 6))
    assert check.status == "fail"
    assert "`engine='padded'" in check.advice


def test_positions_that_left_padding_moves_are_a_warning_only(tmp_path):
    config = hf.GPT2Config(
        vocab_size=259, n_embd=32, n_layer=2, n_head=4, n_positions=1024, num_labels=1
    )
    checks = examine(saved(tmp_path, hf.GPT2ForSequenceClassification, config))
    assert (failed(checks), warned(checks)) == ([], ["left padding"])
    assert "rmeval pads to the right" in checks["left padding"].advice


def test_what_pools_for_itself_gets_the_checks_that_apply(tmp_path):
    config = hf.BertConfig(**{**SIZES, "pad_token_id": 0})
    checks = examine(saved(tmp_path, hf.BertForSequenceClassification, config))
    assert failed(checks) == []
    assert checks["alone = packed"].status == checks["left padding"].status == "skipped"
    assert checks["left padding"].finding == "the model pools for itself"
    assert checks["alone = batch"].status == "pass"


def test_a_run_on_a_sound_model_goes_on(golden):
    model = load(golden("internlm2"))
    require_sound(model, TALKS)
    names = [check.name for check in cheap_checks(model, TALKS)]
    assert names[-3:] == ["finite", "scored token", "alone = packed"]
    assert cheap_checks(load(golden("internlm2"), engine="padded"), [])[-1].name == "alone = batch"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ bos_token }}" + TEMPLATE, "BOS"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", "contents"),
        ("{{ raise_exception('no') }}", "template"),
    ],
)
def test_a_run_on_a_broken_model_is_refused_with_the_check_and_the_way_out(golden, template, name):
    model = load(golden(template=template))
    with pytest.raises(
        BadCheckpoint, match=rf"not fit to run \({name}\): .*`checks=False` to insist"
    ):
        require_sound(model, TALKS)


def test_a_run_on_rewards_that_are_not_finite_is_refused(golden, monkeypatch):
    monkeypatch.setattr(loading, "_require_finite", as_remote_code_is_loaded)
    folder = golden()
    write_tensors(folder, {k: t * math.nan for k, t in read_tensors(folder).items()})
    with pytest.raises(BadCheckpoint, match=r"\(finite\): 6 of 6 rewards are NaN"):
        require_sound(load(folder), TALKS)
    assert cheap_checks(load(folder), TALKS)[-1].name == "finite"  # nothing to compare


def test_a_run_leaves_rows_that_the_template_refuses_to_the_run(golden):
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    model = load(golden(template=refusal + TEMPLATE))
    require_sound(model, [(Message("system", "Be short."), *talk) for talk in TALKS])


def test_one_conversation_that_does_not_fit_into_memory_is_no_crash(golden, monkeypatch):
    def full(network, sequences):
        raise torch.OutOfMemoryError("full")

    model = load(golden(), dtype="bfloat16")
    probe = make_probe(model, [[1, 2], [3]], 1)
    monkeypatch.setattr("rmeval.models.doctor.scores.forward_padded", full)
    assert check_float32(probe).finding == "does not fit beside what else is on cpu"
    with pytest.raises(BadOption, match="up to 2 tokens: use a smaller `max_length=`"):
        make_probe(model, [[1, 2], [3]], 1)


class Counted:
    """Counts the passes of a network's first layer; the one of number `at` finds memory full."""

    def __init__(self, model, at=None, error=None):
        self.passes, self.at, self.error = 0, at, error
        self.hook = model.network.backbone.layers[0].register_forward_pre_hook(self)

    def __call__(self, *_):
        self.passes += 1
        if self.passes == self.at:
            raise self.error


@pytest.mark.parametrize("error", FULL[1::6], ids=str)
@pytest.mark.parametrize("examine", [check_model, require_sound], ids=lambda f: f.__name__)
def test_memory_that_runs_out_in_any_check_is_one_line_or_one_check_less(golden, examine, error):
    model = load(golden(), dtype="float32", engine="padded")
    pairs = load_benchmark("demo").limited(2).preferences
    talks = pairs if examine is check_model else [pair.conversations()[0] for pair in pairs]
    counted = Counted(model)
    expected = examine(model, talks)
    counted.hook.remove()
    found = set()
    for at in range(1, counted.passes + 1):
        full = Counted(model, at, error)
        try:
            found.add(examine(model, talks) == expected)
        except BadOption as refused:
            found.add(str(refused)[:16])
        full.hook.remove()
        assert full.passes >= at
    assert found <= {True, False, "out of memory on"}
    assert "out of memory on" in found
    assert examine(model, talks) == expected


def test_a_float32_copy_that_would_not_fit_is_not_loaded(golden, monkeypatch):
    model = load(golden(), dtype="bfloat16")
    monkeypatch.setattr("rmeval.models.doctor.scores.SHARE_OF_DEVICE", 0)
    check = check_float32(make_probe(model, [[1, 2], [3]], 1))
    assert (check.status, "GiB may be used" in check.finding) == ("skipped", True)


def test_a_model_that_lies_on_several_devices_is_not_moved(golden):
    model = load(golden(), dtype="bfloat16")
    model.network.hf_device_map = {"backbone": 0, "head": 1}
    check = check_float32(make_probe(model, [[1, 2], [3]], 1))
    assert check.finding == "the model is spread over several devices"


def test_a_pack_that_breaks_down_is_caught(golden, monkeypatch):
    def broken(network, sequences):
        return Numbers(torch.full([len(sequences)], math.nan))

    probe = make_probe(load(golden()), [[1, 2], [1, 3]], 1)
    monkeypatch.setattr("rmeval.engine.scoring.start_packed", broken)
    check = check_packed(probe)
    assert (check.status, "finite alone, not together" in check.finding) == ("fail", True)
    assert check_batch(probe).status == "pass"  # it goes the other way


def test_the_model_is_left_as_it_was(golden):
    model = load(golden(), dtype="bfloat16")
    before = model.score(TALKS), model.max_length, model.engine
    check_model(model, PAIRS)
    assert (model.score(TALKS), model.max_length, model.engine) == before
    assert {weight.dtype for weight in model.network.backbone.parameters()} == {torch.bfloat16}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_model_waits_on_the_host_for_its_reference_and_comes_back():
    model = rmeval.load_model("demo", device="cuda", dtype="bfloat16")
    checks = {check.name: check for check in check_model(model, PAIRS)}
    assert failed(checks) == []
    assert "of 6 verdicts flip" in checks["float32"].finding
    assert {weight.device.type for weight in model.network.parameters()} == {"cuda"}


def test_a_model_that_flattery_turns_is_warned_of(monkeypatch):
    """The verdicts of ten pairs, all won, turn by flattery alone: the rewards are given by hand."""
    model = rmeval.load_model("demo", device="cpu", checks=False)
    pairs = load_benchmark("demo").limited(10).preferences
    talks = [talk for pair in pairs for talk in pair.conversations()]
    ids = [np.asarray(model.sequence(talk), np.int32) for talk in talks]
    probe = Probe(model, ids, 10, [2.0, 1.0] * 10)

    def turned_by(*rewards):
        monkeypatch.setattr(disguises, "score_sequences", lambda *_: list(rewards) * 10)
        return disguises.check_disguises(probe, pairs)

    check = turned_by(3.0, 1.0, 1.0, 1.0)
    assert check.status == "warn"
    assert "of 10 verdicts won, the rejected answer turns with: flattery 10," in check.finding
    assert "can be hacked by flattery; see `rmeval run --disguises`" in check.advice
    assert turned_by(1.0, 1.0, 1.0, 3.0).status == "pass"  # half of an answer may be the better one
    few = Probe(model, probe.ids[:12], 6, probe.rewards[:12])
    monkeypatch.setattr(disguises, "score_sequences", lambda *_: [3.0] * 24)
    assert disguises.check_disguises(few, pairs[:6]).status == "pass"


def test_each_check_is_told_once_as_it_went_worst_in_the_order_they_were_first_made():
    made = [("b", "pass"), ("a", "warn"), ("b", "fail"), ("a", "pass"), ("c", "skipped"),
            ("b", "warn"), ("c", "pass")]  # fmt: skip
    found = worst_of(Check(name, status, f"{name} {status}") for name, status in made)
    assert [check.finding for check in found] == ["b fail", "a warn", "c pass"]
    same = worst_of([Check("a", "warn", "first"), Check("a", "warn", "second")])
    assert [check.finding for check in same] == ["first"]
    assert worst_of([]) == []


def test_what_the_doctor_found_is_kept_with_the_result_each_check_once(tmp_path):
    model, benchmark = rmeval.load_model("demo", device="cpu"), load_benchmark("demo")
    pairs = benchmark.limited(4).preferences
    for _ in range(2):  # as for two benchmarks
        require_sound(model, [talk for pair in pairs for talk in pair.conversations()])
    result = rmeval.evaluate(model, benchmark, limit=4, output=tmp_path)
    kept = json.loads((result.folder / "result.json").read_text(encoding="utf-8"))
    findings = kept["provenance"]["findings"]
    assert findings == [asdict(check) for check in model.checks_made]
    names = [one["name"] for one in findings]
    assert len(names) == len(set(names))
    assert {"files", "vocabulary", "finite", "scored token"} <= set(names)
    own = SimpleNamespace(checks_made=[])
    assert "findings" not in told_after(own)  # nothing was examined: no empty list that says so
