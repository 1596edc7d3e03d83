"""What the doctor says of templates, tokenizers and lengths that go wrong on purpose."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
from checkpoints import TOKENIZER_FILES, copy_golden, edit_config, read_tensors, write_tensors
from conftest import DEMO_MODEL, GOLDEN
from readable import (
    PAIRS,
    TEMPLATE,
    TURNS,
    add_tokenizer,
    examine,
    failed,
    load,
    readable,
    warned,
)
from tokenizers.processors import TemplateProcessing

from rmeval.engine.truncation import Encoded
from rmeval.models.doctor.examination import check_model
from rmeval.records import Message


@pytest.fixture
def golden(tmp_path):
    return partial(readable, tmp_path / "model")


@pytest.mark.parametrize(
    ("loop", "lost"),
    [
        ("{% for m in messages if m.role == 'user' %}", "the assistant message"),
        ("{% for m in messages if m.role == 'assistant' %}", "the user message"),
    ],
)
def test_a_template_that_drops_a_message_is_caught(golden, loop, lost):
    checks = examine(golden(template=loop + "{{ m.content }}{% endfor %}</s>"))
    assert "contents" in failed(checks)
    assert f"the template drops {lost}" in checks["contents"].finding


def test_a_template_that_drops_the_system_message_or_earlier_turns_is_a_warning(golden):
    loop = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}</s>"
    contents = examine(golden(template="<s>" + loop))["contents"]
    assert contents.finding == "the template drops the system message"
    assert contents.status == "warn"
    contents = examine(golden(template="<s>" + loop.replace("messages", "messages[-2:]")))[
        "contents"
    ]
    assert "earlier user message and the earlier assistant message" in contents.finding
    assert contents.status == "warn"


def test_text_that_does_not_come_back_is_a_warning(golden):
    cut = TURNS.replace("m.content", "m.content[:5]")
    contents = examine(golden(template="<s>" + cut))["contents"]
    assert (contents.status, "do not decode" in contents.finding) == ("warn", True)


def test_a_template_that_refuses_a_system_message_is_a_warning(golden):
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    checks = examine(golden(template=refusal + TEMPLATE))
    assert (failed(checks), warned(checks)) == ([], ["template"])
    assert checks["template"].finding == "refuses a system message"


def test_pairs_that_the_template_refuses_are_left_out(golden):
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    strict = replace(PAIRS[2], prompt=(Message("system", "Be short."), *PAIRS[2].prompt))
    model = load(golden(template=refusal + TEMPLATE))
    checks = {check.name: check for check in check_model(model, [*PAIRS[:2], strict, *PAIRS[3:]])}
    assert "of 5 pairs" in checks["finite"].finding


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{{ '' }}"])
def test_a_template_that_renders_nothing_ends_the_examination(golden, template):
    checks = examine(golden(template=template))
    assert list(checks) == ["weights", "files", "template"]
    assert failed(checks) == ["template"]


def test_a_checkpoint_without_a_tokenizer_is_not_fit():
    checks = examine(GOLDEN / "seqcls")
    assert failed(checks) == ["template"]
    assert "no tokenizer" in checks["template"].finding


@pytest.mark.parametrize(
    ("template", "bos", "status", "told"),
    [
        ("{{ bos_token }}" + TEMPLATE, "<s>", "fail", "'<s>' (1) appears 2 times"),
        (
            TEMPLATE.replace("<|", "{{ bos_token }}<|").removeprefix("{{ bos_token }}"),
            "<s>",
            *2 * [""],
        ),
        (TURNS, "<s>", "pass", "none: neither"),
        (TURNS, None, "pass", "the tokenizer has none"),
    ],
)
def test_the_beginning_is_counted(golden, template, bos, status, told):
    check = examine(golden(template=template, bos_token=bos))["BOS"]
    assert check.status == (status or "pass")  # one before every turn is Llama 2's right way
    assert told in check.finding


def test_a_beginning_that_only_the_tokenizer_writes_is_a_warning(golden):
    model = load(golden(template=TURNS))
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    checks = {check.name: check for check in check_model(model, PAIRS)}
    assert warned(checks) == ["BOS"]
    assert "writes no '<s>' (1), the tokenizer would" in checks["BOS"].finding


def test_a_template_that_always_asks_for_another_answer_is_a_warning(golden):
    checks = examine(golden(template=TEMPLATE + "<|assistant|>"))
    assert (failed(checks), warned(checks)) == ([], ["end token"])
    assert "the header of another answer, '</s><|assistant|>'" in checks["end token"].finding


@pytest.mark.parametrize(
    ("loop", "last"),
    [
        (TEMPLATE, "'</s>' (2)"),
        # no headers: what stands behind an answer stands behind a question too
        ("{% for m in messages %}{{ m.content }}</s>{% endfor %}", "'</s>' (2)"),
        # headers and turns that end alike
        (TEMPLATE.replace("|>", "|>\\n").replace("</s>", "</s>\\n"), r"'\n'"),
    ],
)
def test_a_template_that_ends_its_turns_asks_for_nothing(golden, loop, last):
    loop = loop.replace("\\n", "{{ '\\n' }}")
    check = examine(golden(template=loop))["end token"]
    assert check.status == "pass"
    assert check.finding.startswith(f"the reward is read from {last}")


def test_tokens_that_the_network_does_not_know_are_caught_before_a_forward_pass(tmp_path):
    """The tiny network knows 512 tokens, the demonstration's tokenizer 4103."""
    folder = copy_golden("internlm2", tmp_path)
    for name in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / name, folder / name)
    checks = examine(folder)
    assert failed(checks) == ["vocabulary"]
    assert "the network knows 0 to 511" in checks["vocabulary"].finding
    assert "finite" not in checks


def test_a_special_token_that_the_network_does_not_know_is_a_warning(golden):
    folder = golden(pad_token="<pad>")
    write_tensors(
        folder,
        {k: t[:259] if "embed_tokens" in k else t for k, t in read_tensors(folder).items()},
    )
    edit_config(folder, vocab_size=259)
    assert warned(examine(folder)) == []
    add_tokenizer(folder, pad_token="[PAD]")  # comes as number 259
    checks = examine(folder)
    assert (failed(checks), warned(checks)) == ([], ["vocabulary"])


def test_conversations_that_are_cut_are_counted_and_a_lost_answer_is_caught(golden, monkeypatch):
    folder = golden()
    check = examine(folder, max_length=80)["truncation"]
    assert check.status == "warn"
    assert "of 12 conversations are longer than 80 tokens" in check.finding
    # <s><|user|> is 9 tokens, the answer's 29 letters and </s> are 30
    assert examine(folder, max_length=39)["truncation"].status == "warn"
    check = examine(folder, max_length=38)["truncation"]
    assert (check.status, "loses its answer" in check.finding) == ("fail", True)
    check = examine(folder, max_length=5)["truncation"]
    assert (check.status, "leaves no room" in check.finding) == ("fail", True)

    for wrong in (slice(None, 512), slice(-513, -1)):  # the beginning; all but the end token

        def fit_wrongly(ids, probe, other, max_length, wrong=wrong):
            return Encoded(tuple(ids[wrong]), True)

        monkeypatch.setattr("rmeval.models.reward_model.truncate", fit_wrongly)
        check = examine(folder)["truncation"]
        assert (check.status, "loses its answer" in check.finding) == ("fail", True)
