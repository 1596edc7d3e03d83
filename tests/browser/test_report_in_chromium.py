"""The report as its reader has it: in a browser, with a mouse or without.

Debian's Chromium, driven by Playwright, opens the file from the disk.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium_tabs import Tab, launched
from preferences_by_hand import question, result, scored
from reports_by_hand import NASTY, hostile, questions, write_report

from rmeval.metrics.pairs import PAIRS
from rmeval.reports.page_rows import Texts
from rmeval.reports.pages import render_report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture
def open_report(chromium) -> Iterator[Any]:
    """Opens a report; afterwards it must have asked for nothing else and complained of nothing."""
    opened: list[Tab] = []

    def open_it(path: Path, view: str = "", **options: Any) -> Any:
        opened.append(Tab(chromium, path, **options))
        return opened[-1].go(view)

    yield open_it
    for tab in opened:
        tab.context.close()
        assert tab.complaints == []
        asked = {url.partition("#")[0] for url in tab.requests if not url.startswith("data:")}
        assert asked == {tab.path.as_uri()}


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A report of one model on 2,985 rows."""
    return write_report(tmp_path_factory.mktemp("whole") / "report.html", questions(), ["org/m"])


@pytest.fixture(scope="session")
def three(tmp_path_factory) -> Path:
    """A report of three models, one of a long name, on every tenth of them."""
    names = ["org/a", "org/" + "a-very-long-name-of-a-model-" * 4, "org/c"]
    return write_report(tmp_path_factory.mktemp("three") / "r.html", questions()[::10], names)


def listed(page: Any) -> list[str]:
    return [text.split(" ")[0] for text in page.locator("#list button").all_inner_texts()]


def count(page: Any) -> str:
    return page.locator("#count").inner_text()


def choose(page: Any, **settings: str) -> None:
    for name, value in settings.items():
        if name == "search":
            page.fill("#search", value)
        else:
            page.select_option(f"#{name}", value)


def test_a_report_opens_at_once_and_shows_the_worst_row_first(open_report, whole: Path) -> None:
    page = open_report(whole)
    # 2,985 rows: of each ten 7 won, two lost, one tied; the last five are won.
    assert count(page) == "2,985 of 2,985 rows: 2,091 won, 596 lost, 298 tied; 60 truncated"
    assert len(listed(page)) == 201  # and a button for more
    # Row n is lost by 1 + n % 97 where n ends in 7 or 8; 678 = 6 * 97 + 96.
    assert page.locator("#list button").first.inner_text().split(" ")[-1] == "-97.000"
    print(page.evaluate("performance.getEntriesByType('paint').map((e) => [e.name, e.startTime])"))


def test_filters_count_and_list_what_they_say(open_report, whole: Path) -> None:
    page = open_report(whole)
    choose(page, section="Chat")
    assert count(page).startswith("358 of 2,985 rows")
    choose(page, subset="mt-bench-easy")
    assert count(page).startswith("28 of 2,985 rows")
    choose(page, section="Safety")
    assert count(page).startswith("0 of 2,985 rows")
    choose(page, section="", subset="alpacaeval-easy", state="tied")
    assert count(page) == "10 of 2,985 rows: 0 won, 0 lost, 10 tied; 0 truncated"
    choose(page, state="truncated")
    assert listed(page) == ["0", "50"]
    choose(page, state="", search="WRONG42 ")
    assert listed(page) == ["42"]


def test_rows_are_sorted_as_asked(open_report, whole: Path) -> None:
    page = open_report(whole)
    choose(page, subset="alpacaeval-easy", sort="-margin")
    assert listed(page)[:2] == ["96", "95"]
    choose(page, sort="order")
    assert listed(page) == [str(n) for n in range(100)]
    choose(page, sort="margin")
    assert listed(page)[:2] == ["88", "87"]  # lost by 89 and by 88


def test_a_filter_takes_no_time_that_a_reader_sees(open_report, whole: Path) -> None:
    page = open_report(whole)
    taken = page.evaluate("""() => {
      const taken = [], set = (id, value) => {
        const start = performance.now(), field = document.getElementById(id);
        field.value = value;
        field.dispatchEvent(new Event("input"));
        document.body.offsetHeight;
        taken.push([id, Math.round(performance.now() - start)]);
      };
      set("section", "Reasoning"); set("state", "lost"); set("section", ""); set("state", "");
      set("search", "wrong2"); set("search", ""); set("sort", "-margin");
      return taken;
    }""")
    print("milliseconds for a filter and its layout:", taken)


def test_a_chosen_row_shows_both_responses_with_what_differs_marked(open_report, whole) -> None:
    page = open_report(whole, "#subset=alpacaeval-easy&sort=order")
    page.locator("#list button").nth(50).click()
    assert page.locator("#row h3").first.inner_text() == "50 · alpacaeval-easy"
    assert page.locator("#row .chosen mark").all_inner_texts() == ["right50"]
    assert page.locator("#row .rejected mark").all_inner_texts() == ["wrong50"]
    assert page.locator("#row .chosen .meta").inner_text() == "score 51.000, 121 tokens, truncated"
    left, right = (page.locator(f"#row .{side}").bounding_box() for side in ("chosen", "rejected"))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


def test_a_link_reopens_the_same_view(open_report, whole: Path) -> None:
    page = open_report(whole)
    choose(page, section="Reasoning", state="lost", sort="order", search="the")
    page.locator("#list button").nth(3).click()
    again = open_report(whole, page.evaluate("location.hash"))
    for seen in ("#count", "#list", "#row"):
        assert again.locator(seen).inner_text() == page.locator(seen).inner_text()
    assert again.locator("#sort").input_value() == "order"
    assert again.locator("#list button[aria-current=true]").count() == 1


def test_a_link_to_what_is_not_there_shows_all(open_report, whole: Path) -> None:
    page = open_report(whole, "#subset=gone&state=odd&row=gone&sort=order")
    assert count(page).startswith("2,985 of 2,985 rows")
    assert page.locator("#subset option:checked").inner_text() == "all"


def test_a_link_to_a_row_far_down_shows_it_in_the_list(open_report, whole: Path) -> None:
    page = open_report(whole, "#sort=order&row=1234")
    assert page.locator("#row h3").first.inner_text().startswith("1234 ·")
    assert page.locator("#list button[aria-current=true]").inner_text().startswith("1234 ·")
    assert page.locator("#list button[aria-current=true]").is_visible()


def test_a_subset_in_the_table_leads_to_the_rows_it_lost(open_report, whole: Path) -> None:
    page = open_report(whole)
    choose(page, search="wrong42 ")
    assert " 1 won, " in count(page)
    page.get_by_role("link", name="hep-rust").click()
    page.locator("#count").filter(has_text=" 0 won, ").wait_for()
    assert page.locator("#subset").input_value() == "hep-rust"
    assert page.locator("#state").input_value() == "lost"
    assert page.locator("#search").input_value() == ""


def test_the_keyboard_reaches_every_row(open_report, whole: Path) -> None:
    page = open_report(whole, "#subset=alpacaeval-easy&sort=order")
    page.locator("#search").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.innerText.split(' ')[0]"
    assert page.evaluate(focused) == "0"
    for key, row in (("ArrowDown", "1"), ("ArrowDown", "2"), ("ArrowUp", "1"), ("End", "99")):
        page.keyboard.press(key)
        assert page.evaluate(focused) == row
    page.keyboard.press("Enter")
    assert page.locator("#row h3").first.inner_text().startswith("99 ·")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")  # the whole list is one stop; next come the row's texts
    assert page.evaluate("document.activeElement.closest('#row') !== null")


def test_more_rows_come_when_asked(open_report, whole: Path) -> None:
    page = open_report(whole, "#sort=order")
    page.get_by_role("button", name="show 200 more").click()
    assert listed(page)[198:202] == ["198", "199", "200", "201"]
    assert page.evaluate("document.activeElement.innerText.split(' ')[0]") == "200"


def test_hostile_texts_are_shown_and_nothing_in_them_runs(open_report, tmp_path: Path) -> None:
    page = open_report(write_report(tmp_path / "r.html", hostile(), ["org/<b>m</b>", NASTY[2]]))
    choose(page, sort="order")
    for number, text in enumerate(NASTY):
        page.locator("#list button").nth(number).click()
        shown = page.locator("#row pre").evaluate_all("(all) => all.map((pre) => pre.textContent)")
        assert shown == [text, f"{text} good", f"{text} bad"]
    assert page.locator("#row img, #row script, #list img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text().replace(shown[0], "")


def test_subsets_are_told_apart_by_their_spaces(open_report, tmp_path: Path) -> None:
    page = open_report(write_report(tmp_path / "r.html", hostile(), ["m"]))
    choose(page, subset=" two  spaces ")
    assert count(page).startswith("1 of 11 rows")


def test_a_response_of_a_megabyte_is_shown_and_not_compared(open_report, tmp_path: Path) -> None:
    long = "so on and " * 100_000
    items = [question("long", "s", "why?", "first " + long, "other of all" + long[::-1])]
    page = open_report(write_report(tmp_path / "r.html", items, ["m"]))
    page.locator("#list button").first.click()
    assert "Too long to mark the words that differ." in page.locator("#row").inner_text()
    length = page.locator("#row .chosen pre").evaluate("(pre) => pre.textContent.length")
    assert length == 1_000_006


def test_long_responses_that_differ_little_are_compared(open_report, tmp_path: Path) -> None:
    half = "so on and " * 20_000
    items = [question("1", "s", "why?", f"{half}up {half}", f"{half}down {half}")]
    page = open_report(write_report(tmp_path / "r.html", items, ["m"]))
    page.locator("#list button").first.click()
    assert page.locator("#row mark").all_inner_texts() == ["up", "down"]


def test_of_several_responses_each_is_held_against_the_chosen_one(open_report, tmp_path) -> None:
    items = [question("1", "s", "why?", "so it is", "so it was", "so they are", "no")]
    found = result([scored(items[0], 4, 1, 2, 3)])
    path = tmp_path / "r.html"
    path.write_text(render_report([found], PAIRS, Texts({"1": items[0]})), encoding="utf-8")
    page = open_report(path)
    page.locator("#list button").first.click()
    marks = [side.locator("mark").all_inner_texts() for side in page.locator(".sides > *").all()]
    assert marks == [[], ["was"], ["they are"], ["no"]]


def test_several_models_can_be_chosen_and_their_disputes_listed(open_report, three) -> None:
    page = open_report(three)
    assert count(page).startswith("299 of 299 rows")
    choose(page, model="1", state="disputed", sort="dispute")
    link = page.locator("table a").first
    row = link.inner_text()
    link.click()
    page.locator("#row h3").filter(has_text=f"{row} ·").wait_for()
    assert page.locator("#row .chosen li").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("report", ["whole", "three"])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing_serious(
    open_report, request, report: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = open_report(request.getfixturevalue(report), width=width, scheme=scheme)
    page.locator("#list button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
@pytest.mark.parametrize("report", ["whole", "three"])
def test_the_first_screen_has_all_four_answers_also_without_a_script(
    chromium, request, report: str, width: int, height: int
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(request.getfixturevalue(report).as_uri())
    for answer in (".good", ".sound", ".wrong", ".made summary"):
        box = page.locator(f".glance > {answer}").first.bounding_box()
        assert box["height"] > 0
        assert box["y"] + box["height"] <= height
        assert box["x"] + box["width"] <= width
    context.close()


def test_the_bar_of_the_score_is_as_long_as_it_says(open_report, whole: Path) -> None:
    page = open_report(whole)
    track, bar = (
        page.locator(f".whole .track {part}").bounding_box()["width"] for part in ("div", ".value")
    )
    shown = float(page.locator(".whole .number strong").inner_text())
    assert 100 * bar / track == pytest.approx(shown, abs=0.5)


def test_a_fault_leads_to_the_pair_that_shows_it(open_report, whole: Path) -> None:
    page = open_report(whole)
    page.locator(".wrong .pair").first.click()
    page.locator("#row h3").wait_for()
    subset = page.locator(".wrong li strong").first.inner_text()
    assert page.locator("#row h3").first.inner_text().endswith(f"· {subset}")
    assert page.locator("#subset").input_value() == subset


def test_on_paper_there_are_the_figures_and_no_list_of_rows(open_report, whole: Path) -> None:
    page = open_report(whole)
    page.emulate_media(media="print")
    assert page.locator("figure svg").first.is_visible()
    assert not page.locator(".browser").is_visible()
    assert page.get_by_text("What made these numbers").is_visible()


def test_dark_is_dark_on_a_screen_and_not_on_paper(open_report, whole: Path) -> None:
    page = open_report(whole, scheme="dark")
    back = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(22, 24, 27)"
    page.emulate_media(media="print")
    assert page.evaluate(back) == "rgb(255, 255, 255)"


def test_without_a_script_the_numbers_still_stand(chromium, whole: Path) -> None:
    page = chromium.new_page(java_script_enabled=False)
    page.goto(whole.as_uri())
    assert "The rows need JavaScript" in page.locator("noscript").first.inner_text()
    assert page.locator("figure svg").count() == 6
    page.close()
