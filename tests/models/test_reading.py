"""Special tokens by policy, a day that stays, and checks before the first score."""

from datetime import date

import pytest
from checkpoints import copy_golden
from readable import TEMPLATE, load, readable
from tokenizers.processors import TemplateProcessing

import rmeval
from rmeval.errors import BadCheckpoint, BadOption, UnknownName
from rmeval.models.text.day import USUAL, choose_day
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import render

TALK = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes."}]
DATED = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y|%Y-%m-%d|%A') }}{% endif %}"
WITHOUT_BOS = TEMPLATE.removeprefix("<s>").removeprefix("{{ bos_token }}")


@pytest.fixture
def folder(tmp_path):
    return readable(tmp_path / "model", template=WITHOUT_BOS)


def adding(folder, **options):
    """A model whose tokenizer adds <s> before a text and </s> after it."""
    model = load(folder, **options)
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return model


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        ("template", [], []),
        ("tokenizer", [1], [2]),
        ("once", [1], []),  # the template ends in </s> itself
        ("bos", [1], []),
        ("eos", [], []),
        ("bos+eos", [1], []),
    ],
)
def test_a_policy_says_what_stands_around_a_text(folder, policy, before, after):
    bare = load(folder, specials="template").encode(TALK)
    assert adding(folder, specials=policy).encode(TALK) == [*before, *bare, *after]


@pytest.mark.parametrize(
    ("policy", "leading"), [("template", 1), ("tokenizer", 2), ("once", 1), ("bos", 1)]
)
def test_what_the_template_writes_is_doubled_by_one_policy_only(tmp_path, policy, leading):
    model = adding(readable(tmp_path / "m", template="<s>" + WITHOUT_BOS), specials=policy)
    ids = model.encode(TALK)
    assert ids[: leading + 1].count(1) == leading
    assert model.provenance()["specials"] == {
        "policy": policy,
        "from": "asked for",
        "bos": leading,
    }


def test_a_token_that_the_tokenizer_lacks_cannot_be_asked_for(tmp_path):
    model = load(readable(tmp_path / "m", bos_token=None), specials="bos")
    with pytest.raises(BadOption, match="no bos_token"):
        model.encode(TALK)
    with pytest.raises(UnknownName, match="policy of `specials=`"):
        load(readable(tmp_path / "n"), specials="both")


def test_nothing_is_added_where_the_tokenizer_adds_nothing(folder):
    assert Specials("tokenizer", load(folder).tokenizer).of_tokenizer == ((), ())


def test_a_day_is_the_same_on_every_day(tmp_path):
    """Whatever transformers would write today, which `date.today()` is."""
    model = load(readable(tmp_path / "m", template=DATED + TEMPLATE))
    text = render(model.tokenizer, (rmeval.Message("user", "x"),), 0)
    assert text.startswith("26 Jul 2024|2024-07-26|Friday")
    assert model.provenance()["date"] == {"day": "2024-07-26", "from": "rmeval's constant"}
    asked = load(readable(tmp_path / "n", template=DATED + TEMPLATE), date="2025-01-02")
    text = render(asked.tokenizer, (rmeval.Message("user", "x"),), 0)
    assert text.startswith("02 Jan 2025|2025-01-02|Thursday")
    assert asked.provenance()["date"]["from"] == "asked for"
    assert "date" not in load(readable(tmp_path / "o")).provenance()


def test_every_form_is_that_of_strftime(tmp_path):
    from datetime import datetime

    forms = "%-d %d %m %-m %Y %y %b %B %a %A %j %H:%M:%S %I%p %F %D %x %% 100%"
    model = load(readable(tmp_path / "m", template=f"{{{{ strftime_now({forms!r}) }}}}"))
    text = render(model.tokenizer, (rmeval.Message("user", "x"),), 0)
    assert text == datetime(2024, 7, 26).strftime(forms)


@pytest.mark.parametrize(
    ("template", "card", "day", "source"),
    [
        ("{% set d = '5 Nov 2023' %}", None, date(2023, 11, 5), "its template"),
        ("", "---\ndate: 2023-10-09\n---\n", date(2023, 10, 9), "its card"),
        ("", "**Model Release Date:** July 23, 2024.\n", date(2024, 7, 23), "its card"),
        ("", "No day, of 2024.\n", USUAL, "rmeval's constant"),
        ("", None, USUAL, "rmeval's constant"),
    ],
)
def test_the_day_is_the_templates_or_the_cards_or_a_constant(tmp_path, template, card, day, source):
    if card:
        (tmp_path / "README.md").write_text(card)
    assert choose_day(None, template, tmp_path) == (day, source)


@pytest.mark.parametrize("text", ["tomorrow", "2024-13-01", "26.7.2024", ""])
def test_what_is_no_day_is_refused(tmp_path, text):
    with pytest.raises(BadOption, match=r"`date=.* write it as 2024-07-26"):
        load(readable(tmp_path / "m"), date=text)


DROPPING = "{% for m in messages %}<|{{ m.role }}|>{% endfor %}"


def test_python_refuses_a_template_that_drops_the_text_unless_told(tmp_path):
    folder = readable(tmp_path / "m", template=DROPPING)
    with pytest.raises(BadCheckpoint, match=r"contents.*drops the user message"):
        load(folder).score([TALK])
    assert len(load(folder, checks=False).score([TALK])) == 1


def test_checks_are_made_once_and_their_warnings_are_kept(folder, monkeypatch, caplog):
    model = adding(folder)
    model.score([TALK])
    assert [warning.partition(":")[0] for warning in model.warnings] == ["BOS"]
    assert "the tokenizer would" in caplog.text
    monkeypatch.setattr("rmeval.models.doctor.examination.cheap_checks", None)
    model.score([TALK])


def test_token_ids_whose_rewards_depend_on_their_batch_are_refused(tmp_path, monkeypatch):
    folder, rows = copy_golden("seqcls", tmp_path), [[1, 5, 9], [1, 7, 8, 4]]
    alone = rmeval.load_model(folder, device="cpu").score_tokens(rows)
    model = rmeval.load_model(folder, device="cpu")
    monkeypatch.setattr(
        "rmeval.models.reward_model.score_sequences", lambda *_: [alone[0] + 0.5, alone[1]]
    )
    with pytest.raises(BadCheckpoint, match="alone = together"):
        model.score_tokens(rows)
