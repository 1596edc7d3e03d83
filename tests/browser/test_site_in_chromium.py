"""The site as its reader has it: opened from the disk, with a mouse, a keyboard or no script."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium_tabs import launched
from sites_by_hand import measured, write_hostile, write_large, write_small

from rmeval.metrics.paired import FLIPS, flip_test
from rmeval.results.comparison import compare_results

SCRIPT = Path(__file__).parents[2] / "rmeval" / "data" / "pages" / "paired.js"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(chromium) -> Iterator[Any]:
    """Opens a page; afterwards none has complained, or asked for anything but files of the site."""
    said: list[str] = []
    contexts = []

    def open_it(path: Path, view: str = "", width: int = 1440, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda asked: asked.url.startswith("file:") or said.append(asked.url))
        page.goto(path.as_uri() + view)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return write_small(tmp_path_factory.mktemp("small") / "public")


def shown(page: Any) -> list[str]:
    return page.locator("table.board tbody tr:visible th.model").evaluate_all(
        "(all) => all.map((one) => one.dataset.value)"
    )


OURS = "benchmarks/ours-pairs.html"


def test_rows_are_filtered_and_the_address_keeps_it(visit, small: Path) -> None:
    page = visit(small / OURS)
    assert len(shown(page)) == 5
    page.select_option("[name=size]", "above 40B")
    assert shown(page) == ["lab/gamma-70B"]
    assert page.locator("[role=status]").inner_text() == "1 of 5 rows"
    again = visit(small / OURS, page.evaluate("location.hash"))
    assert shown(again) == ["lab/gamma-70B"]
    page.get_by_role("button", name="Clear").click()
    page.keyboard.press("/")
    page.keyboard.type("DELTA")
    assert shown(page) == ["Delta, the second"]
    page.keyboard.press("Escape")
    assert len(shown(page)) == 5


def test_a_head_sorts_and_only_the_ranking_has_bands(visit, small: Path) -> None:
    page = visit(small / OURS)
    table, size = page.locator("#ranking"), page.get_by_role("columnheader", name="size")
    size.get_by_role("button").click()
    assert shown(page)[0] == "lab/gamma-70B"
    assert shown(page)[-1] == "Delta, the second"  # of no known size
    assert size.get_attribute("aria-sort") == "descending"
    assert "ranked" not in table.get_attribute("class")
    page.get_by_role("columnheader", name="rank").get_by_role("button").click()
    assert "ranked" in table.get_attribute("class")


def compared(page: Any) -> dict[str, list[str]]:
    page.locator("table.differences").wait_for()
    rows = page.locator("table.differences tbody tr")
    cells = rows.evaluate_all("(all) => all.map((r) => [...r.cells].map((c) => c.textContent))")
    return {name: rest for name, *rest in cells}


def test_two_picked_models_are_tested_as_compare_does(visit, small: Path) -> None:
    page = visit(small / OURS)
    for name in ("lab/gamma-70B", "org/beta-1.8B"):
        page.get_by_label(f"compare {name}").check()
    page.get_by_role("button", name="Compare").click()
    found = compared(page)
    own = compare_results(
        measured("lab/gamma-70B", 6, "ours"), measured("org/beta-1.8B", 5, "ours")
    )
    for item in own.differences:
        label = item.metric.removeprefix("subset/").replace("overall", "Score")
        a, b, _, _, only_a, only_b, p, holm, real = found[label]
        assert [float(a), float(b)] == [round(100 * item.a, 1), round(100 * item.b, 1)]
        assert (int(only_a), int(only_b)) == (item.only_a, item.only_b)
        assert float(p) == pytest.approx(item.p, rel=0.06)
        assert float(holm) == pytest.approx(own.adjusted[item.metric], rel=0.06)
        assert (real == "yes") == own.is_real(item)
    again = visit(small / OURS, page.evaluate("location.hash"))
    assert compared(again) == found
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_the_browsers_arithmetic_is_that_of_compare(chromium) -> None:
    page = chromium.new_page()
    page.add_script_tag(content=SCRIPT.read_text(encoding="utf-8"))
    draw = np.random.default_rng(3)
    cases = [
        draw.choice([-0.5, 0.5], 301, p=[0.42, 0.58]),
        np.concatenate([draw.choice([-s, s], 200, p=[0.45, 0.55]) for s in (1.0, 2.0)]),
        np.concatenate([draw.choice([-s, s], 50, p=[0.42, 0.58]) for s in (1, 0.73, 0.38, 0.91)]),
        draw.normal(0.07, 1, 400),
        draw.normal(0.5, 1, 12),
        np.zeros(5),
    ]
    for effects in cases:
        p, method = flip_test(effects)
        noise = 0.0 if method.startswith("exact") else 5 * (p * (1 - p) / FLIPS) ** 0.5
        assert page.evaluate("(e) => flipTest(e)", effects.tolist()) == pytest.approx(
            p, rel=1e-9, abs=noise + 1e-12
        )
    page.close()


def test_intervals_and_weights_are_those_of_compare(visit, tmp_path: Path) -> None:
    """On all of a benchmark whose subsets weigh otherwise in its sections."""
    site = write_large(tmp_path / "public", models=3, benchmarks=1)
    page = visit(site / "benchmarks" / "rewardbench.html")
    names = [f"org{n}/model-{n}-{1 + n}B" for n in (2, 0)]
    keys = [page.locator(f"tr:has(th[data-value='{name}'])").get_attribute("data-key")
            for name in names]  # fmt: skip
    found = json.loads(page.evaluate("""async ([a, b]) => {
        const [group] = await readVerdicts(document.getElementById("verdicts").textContent);
        return JSON.stringify(compareModels(group, a, b).differences);
    }""", keys))  # fmt: skip
    own = compare_results(*(measured(n, k, "rewardbench", "rewardbench", 60)
                            for n, k in zip(names, (2, 0), strict=True)))  # fmt: skip
    assert [one["name"] for one in found] == [item.metric for item in own.differences]
    for one, item in zip(found, own.differences, strict=True):
        assert one["value"] == pytest.approx(item.value, abs=1e-12)
        assert one["interval"] == pytest.approx(item.interval[:2], abs=1e-9)
        assert one["p"] == pytest.approx(item.p, abs=1e-9 if item.method[:5] == "exact" else 5e-3)


def test_names_are_shown_and_nothing_in_them_runs(visit, tmp_path: Path) -> None:
    site = write_hostile(tmp_path / "public")
    for path in sorted(site.rglob("*.html")):
        page = visit(path)
        assert page.locator("table img, table script, nav script, h1 script").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["index.html", OURS, "models/org--alpha-7B.html"])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing_serious(
    visit, small: Path, path: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = visit(small / path, width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []


def test_without_a_script_the_tables_still_stand(visit, small: Path) -> None:
    page = visit(small / OURS, java_script_enabled=False)
    assert page.locator("table.board tbody tr").count() == 5
    assert page.locator("svg.forest .span").count() == 5
    assert "need JavaScript" in page.locator("noscript").inner_text()
    assert not page.locator("form").is_visible()


def test_three_hundred_models_are_filtered_and_sorted(visit, tmp_path: Path) -> None:
    """On a machine at rest: first paint below 1 s, a filter below 100 ms; printed, not asserted."""
    site = write_large(tmp_path / "public", rows=2)
    for path in ("index.html", "benchmarks/rewardbench.html"):
        page = visit(site / path)
        page.wait_for_function("performance.getEntriesByType('paint').length")
        print(path, page.evaluate("performance.getEntriesByType('paint').map((e) => e.startTime)"))
        taken = page.evaluate("""() => ["model-1", "", "model-2"].map((text) => {
            const start = performance.now(), form = document.querySelector("form[data-filters]");
            form.elements.text.value = text;
            form.dispatchEvent(new Event("input"));
            document.body.offsetHeight;
            return Math.round(performance.now() - start);
        })""")
        print("milliseconds for a filter and its layout:", taken)
        assert len(shown(page)) == 111  # 2, 20 to 29, 200 to 299
        page.get_by_role("columnheader", name="size").get_by_role("button").click()
        sizes = [int(name.rpartition("-")[2].removesuffix("B")) for name in shown(page)]
        assert sizes == sorted(sizes, reverse=True)
