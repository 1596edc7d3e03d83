"""The report's page, as text: what a browser does with it is in tests/browser."""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from preferences_by_hand import PROVENANCE, question, result, scored

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.errors import BadData
from rmeval.metrics.pairs import PAIRS
from rmeval.records import Message
from rmeval.reports import page_rows, pages
from rmeval.reports.page_rows import Texts
from rmeval.reports.pages import render_report
from rmeval.results.ensemble import Mixture, combine_results

HOSTILE = "</script><script>alert(1)</script>\u202e\u200b\0<img src=x onerror=alert(1)>$x$"
QUESTIONS = [question("1"), question("2"), question("3", "t")]
TEXTS = Texts({item.id: item for item in QUESTIONS})
WON_TIED_LOST = [scored(QUESTIONS[0], 1, 0), scored(QUESTIONS[1], 2, 2), scored(QUESTIONS[2], 0, 1)]


def noise(start: int, blocks: int = 4) -> str:
    """Text that does not compress to less than half, 128 letters a block."""
    seeds = range(100 * start, 100 * start + blocks)
    return "".join(hashlib.sha512(str(seed).encode()).hexdigest() for seed in seeds)


def page_of(*results, texts: Texts = TEXTS, scheme=PAIRS) -> str:
    return render_report(list(results), scheme, texts)


def rows_in(page: str) -> list[dict[str, Any]]:
    packed = re.search(r'<script id="rows"[^>]*>([^<]*)</script>', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def text_of(page: str, start: str, end: str) -> str:
    """What a reader sees of a part of the page, on one line."""
    part = page[page.index(start) :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", part[: part.index(end)])).split())


def notes_in(page: str) -> str:
    return unescape(" ".join(re.findall(r'<p class="note">(.*?)</p>', page)))


@pytest.fixture(scope="module")
def plain() -> str:
    """The page of three rows, which many look at."""
    return page_of(result(WON_TIED_LOST))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without their figures, for what has nothing to do with them."""
    monkeypatch.setattr(pages, "_figures", lambda *_: [])


def test_a_page_holds_every_row_with_its_scores_and_texts(plain: str) -> None:
    rows = rows_in(plain)
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert rows[1] == {
        "id": "2",
        "subset": "s",
        "section": "s",
        "chosen": 1,
        "scores": [[[2.0, 4, 0], [2.0, 4, 0]]],
        "prompt": [["user", "why?"]],
        "responses": ["so that it works", "so that it fails"],
    }


@pytest.mark.usefixtures("undrawn")
def test_a_message_is_shown_with_its_fields_and_tools() -> None:
    asked = Message("user", "why?", '{"name": "ann"}', '[{"name": "look"}]')
    call = Message("assistant", "", '{"tool_calls": ["look"]}')
    item = replace(question("1"), prompt=(asked,), responses=(call, "no"))
    found = replace(scored(question("1"), 1, 0), digest=item.digest)
    [row] = rows_in(page_of(result([found]), texts=Texts({"1": item})))
    assert row["prompt"] == [["user", '[{"name": "look"}]\nwhy?\n{"name": "ann"}']]
    assert row["responses"] == ['{"tool_calls": ["look"]}', "no"]


def test_the_score_and_the_oddities_stand_at_the_top(plain: str) -> None:
    # One of three rows, of two degrees of freedom: Wilson's interval of 2 * (1.960/4.303)^2 rows.
    first = text_of(plain, '<div class="glance">', "</ol>")
    assert "Score 33.3 1.1 to 95.6" in first
    assert "chance 50" in first
    assert "Not examined : the doctor's checks were not made" in first
    assert "1 of 3 rows are ties" in first
    # Lost or tied rows of s: one of two; of t: the only one. Wilson's interval of 0 of 1 ends at
    # 79.3, of 1 of 2 at 90.5; with one row below 33.3 nothing is sure.
    assert "t 0.0 (0.0 to 79.3), may be chance" in first
    assert "s 50.0 (9.5 to 90.5), may be chance" in first
    assert "ties (counted as losses): 1; truncated: 0 of 6 responses" in text_of(
        plain, "How was it made?", "</details>"
    )
    assert "2026-01-02 · weights f · 3 rows · rows weighting" in plain


def test_what_is_wrong_links_to_the_pair_that_shows_it(plain: str) -> None:
    first = plain[plain.index("<ol>") : plain.index("</ol>")]
    assert '<a class="pair" href="#subset=t&amp;row=3"><bdi>why?</bdi></a>' in first
    assert '<a class="pair" href="#subset=s&amp;row=2"><bdi>why?</bdi></a>' in first


def test_the_same_results_make_the_same_bytes(plain: str) -> None:
    assert page_of(result(WON_TIED_LOST)) == plain


def test_only_the_pages_own_script_may_run_and_nothing_is_fetched(plain: str) -> None:
    page = plain
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert len(re.findall(r"<script", page)) == 2
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)


def test_no_text_of_the_data_is_ever_markup() -> None:
    item = question(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE + "2")
    other = question("2", "plain")
    provenance = {**PROVENANCE, HOSTILE: {HOSTILE: HOSTILE}}
    rows = [scored(item, 1, 0), scored(other, 0, 1)]
    named = {"benchmark": HOSTILE, "provenance": provenance, "partial": HOSTILE}
    first = result(rows, model=HOSTILE, **named)
    second = result([scored(item, 0, 1), scored(other, 0, 1)], model=HOSTILE + "2", **named)
    texts = Texts({item.id: item, other.id: other}, missing=HOSTILE)
    for page in (page_of(first, texts=texts), page_of(first, second, texts=texts)):
        assert len(re.findall(r"<script", page)) == 2
        assert "<img" not in page
        assert not set(page) & {"\0", "\u202e", "\u200b"}
        assert rows_in(page)[0]["id"] == HOSTILE
        assert rows_in(page)[0]["responses"] == [HOSTILE, HOSTILE + "2"]


@pytest.mark.usefixtures("undrawn")
def test_a_subset_links_to_the_rows_that_it_lost() -> None:
    rows = [scored(question("1", "a b&c"), 0, 1), scored(question("2", "d"), 0, 1)]
    assert '<a href="#subset=a+b%26c&amp;state=lost">a b&amp;c</a>' in page_of(result(rows))


@pytest.mark.usefixtures("undrawn")
def test_without_texts_rows_show_their_scores_and_the_page_says_why() -> None:
    page = page_of(result(WON_TIED_LOST), texts=Texts({}, "./gone.jsonl: no such file"))
    assert [row["prompt"] for row in rows_in(page)] == [None] * 3
    assert "The texts are not available (./gone.jsonl: no such file)" in notes_in(page)


@pytest.mark.usefixtures("undrawn")
def test_texts_of_another_version_are_left_out_and_counted() -> None:
    changed = question("2", "s", "why?", "so that it works", "so that it is another text")
    page = page_of(result(WON_TIED_LOST), texts=Texts({**TEXTS.by_id, "2": changed}))
    assert [row["prompt"] is None for row in rows_in(page)] == [False, True, False]
    assert "The texts of 1 rows are no longer those that were scored" in notes_in(page)


@pytest.mark.usefixtures("undrawn")
def test_too_many_rows_are_thinned_evenly_and_the_page_says_so(monkeypatch) -> None:
    monkeypatch.setattr(page_rows, "MANY_ROWS", 4)
    items = [question(str(number)) for number in range(10)]
    rows = [scored(item, 1, 0) for item in items]
    page = page_of(result(rows), texts=Texts({item.id: item for item in items}))
    assert [row["id"] for row in rows_in(page)] == ["0", "2", "5", "7"]
    assert "4 of 10 rows are listed, evenly spread" in notes_in(page)
    assert "10 rows · rows weighting" in page


@pytest.mark.usefixtures("undrawn")
def test_many_models_leave_room_for_fewer_rows(monkeypatch) -> None:
    monkeypatch.setattr(page_rows, "MANY_SCORES", 8)  # 2 responses, 2 models: 2 rows
    page = page_of(result(WON_TIED_LOST, "a"), result(WON_TIED_LOST, "b"))
    assert [row["id"] for row in rows_in(page)] == ["1", "2"]


@pytest.mark.usefixtures("undrawn")
def test_texts_too_large_for_a_page_are_those_of_the_rows_lost_by_most(monkeypatch) -> None:
    monkeypatch.setattr(page_rows, "MANY_BYTES", 2000)
    monkeypatch.setattr(page_rows, "BLOCK", 1)
    items = [question(str(n), "s", "why?", noise(n), "no") for n in range(9)]
    rows = [scored(item, float(n), 4.5) for n, item in enumerate(items)]
    page = page_of(result(rows), texts=Texts({item.id: item for item in items}))
    shown = [row["id"] for row in rows_in(page) if row["prompt"]]
    assert 0 < len(shown) < 9
    assert shown == [str(n) for n in range(len(shown))]  # 0 is lost by most
    assert f"The texts of {len(shown)} of 9 rows are here" in notes_in(page)


@pytest.mark.usefixtures("undrawn")
def test_one_text_that_is_too_large_does_not_crowd_out_the_others(monkeypatch) -> None:
    monkeypatch.setattr(page_rows, "MANY_BYTES", 2000)
    monkeypatch.setattr(page_rows, "BLOCK", 1)
    items = [question("huge", "s", "why?", noise(0, 40), "no"), question("2")]
    rows = [scored(items[0], 0, 9), scored(items[1], 1, 0)]
    page = page_of(result(rows), texts=Texts({item.id: item for item in items}))
    assert [row["prompt"] is None for row in rows_in(page)] == [True, False]


def test_2985_rows_with_texts_are_far_below_ten_megabytes() -> None:
    words = [hashlib.md5(bytes([n])).hexdigest()[:6] for n in range(256)]
    items = []
    for subset, count in ROWS.items():
        for _ in range(count):
            n = len(items)
            texts = [" ".join(words[(n * k * 7 + k * k) % 256] for k in range(s, s + 150))
                     for s in (0, 3, 5)]  # fmt: skip
            items.append(question(str(n), subset, *texts))
    rows = [scored(item, (n * 37 % 101) / 7, 5.0) for n, item in enumerate(items)]
    found = result(rows, definition="rewardbench")
    page = page_of(found, texts=Texts({i.id: i for i in items}), scheme=REWARDBENCH)
    assert len(page.encode()) < 10e6
    assert all(row["prompt"] for row in rows_in(page))
    assert {row["section"] for row in rows_in(page)} == {"Chat", "Chat Hard", "Safety", "Reasoning"}


@pytest.mark.usefixtures("undrawn")
def test_scores_keep_their_order_in_few_digits() -> None:
    close = [0.10000000149011612, 0.10000000894069672]  # neighbours in float32
    page = page_of(result([scored(QUESTIONS[0], *close)]))
    (low, _, _), (high, _, _) = rows_in(page)[0]["scores"][0]
    assert 0 < high - low < 1e-7
    assert len(str(low)) < 12
    kept = rows_in(page_of(result([scored(QUESTIONS[0], 0.1, 0.2)])))[0]["scores"][0]
    assert [score[0] for score in kept] == [0.1, 0.2]  # no float32: every digit


def test_one_row_makes_a_page() -> None:
    page = page_of(result(WON_TIED_LOST[:1]))
    assert " 1 row · rows weighting" in page
    assert len(rows_in(page)) == 1


def test_several_models_are_compared_and_keep_their_scores_apart() -> None:
    reverse = [scored(q, *rewards) for q, rewards in zip(QUESTIONS, [(1, 0), (0, 1), (1, 0)],
                                                         strict=True)]  # fmt: skip
    page = page_of(result(WON_TIED_LOST, "org/a"), result(reverse, "org/b"))
    assert "org/b is not distinguishable from org/a on this benchmark" in page
    assert '<a href="#row=1">' not in page  # both won it
    assert [score[0] for score in rows_in(page)[2]["scores"][1]] == [1.0, 0.0]
    assert page.index("<td>org/b</td>") < page.index("<td>org/a</td>")  # best first
    assert '<a href="#row=3">3</a></td><td>t</td><td class="number">1 of 2</td>' in page


@pytest.mark.usefixtures("undrawn")
def test_results_of_other_rows_or_benchmarks_are_refused() -> None:
    rows = [scored(question(str(n), s), 1, 0) for n, s in enumerate(ROWS)]
    with pytest.raises(BadData, match="different rows"):
        page_of(result(WON_TIED_LOST), result(WON_TIED_LOST[:2]))
    with pytest.raises(BadData, match="nothing to compare"):
        page_of(result(rows), result(rows, definition="rewardbench"))
    with pytest.raises(BadData, match="needs a result"):
        page_of()


@pytest.mark.usefixtures("undrawn")
def test_results_under_two_weightings_are_put_under_one() -> None:
    names = {"xstest-should-refuse": 1, "xstest-should-respond": 0}
    rows = [scored(question(name, name), won, 0.5) for name, won in names.items()]
    both = [
        result(rows, f"org/{w}", "rewardbench", weighting=w)
        for w in ("rewardbench-v1", "rewardbench-v1-2024-07")
    ]
    page = page_of(*both, scheme=REWARDBENCH)
    # 154 of 404 by today's weights, 250 of 404 by those of 2024-07.
    assert len(re.findall(r"<td class=\"number\">38\.1 \(", page)) == 2
    assert "61.9" not in page
    assert "every number here is under rewardbench-v1." in page


def test_provenance_is_told_in_full(plain: str) -> None:
    for what, value in {"model.dtype": "bfloat16", "engine.reason": "none"}.items():
        assert f"<tr><td>{what}</td><td>{value}</td></tr>" in plain


@pytest.mark.usefixtures("undrawn")
def test_of_several_models_what_differs_stands_apart() -> None:
    other = {**PROVENANCE, "model": {**PROVENANCE["model"], "dtype": "float32"}}
    page = page_of(result(WON_TIED_LOST, "a"), result(WON_TIED_LOST, "b", provenance=other))
    differing = page[page.index("<caption>Different between") : page.index("<caption>The same")]
    assert "<tr><td>a</td><td>bfloat16</td></tr>\n<tr><td>b</td><td>float32</td></tr>" in differing
    assert "<tr><td>model.family</td><td>fake</td></tr>" in page


@pytest.mark.usefixtures("undrawn")
def test_an_ensembles_members_are_folded_each_with_its_weight_and_bounds() -> None:
    other = {**PROVENANCE, "model": {**PROVENANCE["model"], "name": HOSTILE, "dtype": "float32"}}
    members = [
        result(WON_TIED_LOST, folder=Path("r1") / "m"),
        result(WON_TIED_LOST, provenance=other),
    ]
    page = page_of(combine_results(members, Mixture((0.75, 0.25), "minmax")))
    folded = page[page.index('<details class="members">') : page.index("</ol></details>")]
    told = "weight 0.75, scores from 0 to 2 scaled to 0 and 1"
    assert f"<li><strong>fake</strong> (r1/m), {told}" in folded
    assert "<strong>&lt;/script&gt;" in folded
    assert "<tr><td>model.dtype</td><td>float32</td></tr>" in folded
    assert "ensemble.members" not in page
    assert "<tr><td>ensemble.normalise</td><td>minmax</td></tr>" in page
    unscaled = page_of(combine_results(members, Mixture((0.75, 0.25), "none")))
    assert "<strong>fake</strong> (r1/m), weight 0.75\n" in unscaled


@pytest.mark.usefixtures("undrawn")
def test_what_the_doctor_found_is_a_list_with_its_advice_and_no_cell() -> None:
    warned = {"name": "EOS", "status": "warn", "finding": "none", "advice": "Add it."}
    page = page_of(result(WON_TIED_LOST, provenance={**PROVENANCE, "findings": [warned]}))
    assert "<li><strong>warn</strong> EOS: none. Add it</li>" in page
    assert "<td>findings</td>" not in page
