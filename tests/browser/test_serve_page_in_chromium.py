"""The page of `rmeval serve` as who watches a training has it: in a browser, dark, and on a phone.

Debian's Chromium, driven by Playwright, opens it from a server on loopback.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium_tabs import launched

import rmeval

sys.path.append(str(Path(__file__).parents[1] / "serving"))
from serving_by_hand import serving, talk

HOSTILE = "<img src=x onerror=alert(1)></textarea><script>alert(2)</script>\u202e"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """Opens the page; afterwards it must have asked nobody else and complained of nothing."""
    opened: list[tuple[Any, list[str], list[str], str]] = []

    def open_it(client: Any, **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page, requests, complaints = context.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        address = f"http://127.0.0.1:{client.port}/"
        page.goto(address)
        page.locator("#state").filter(has_text="ready").wait_for()
        opened.append((context, requests, complaints, address))
        return page

    yield open_it
    for context, requests, complaints, address in opened:
        context.close()
        # of a refusal, a 400 or a 401, a browser writes a line of its own
        assert [told for told in complaints if "Failed to load resource" not in told] == []
        assert all(url.startswith((address, "data:")) for url in requests), requests


def test_it_shows_what_is_served_and_scores_a_conversation(
    model: rmeval.RewardModel, open_page: Any
) -> None:
    answers = ("56", "It is 54.")
    # Before it is served: a network is of one thread at a time.
    expected = model.score([talk("What is 7 times 8?", answer) for answer in answers])
    with serving(model, name="my-rm") as client:
        page = open_page(client)
        page.locator("#facts").filter(has_text="float32").wait_for()
        assert page.title() == "my-rm"
        facts = page.locator("#facts").inner_text()
        assert model.fingerprint in facts
        assert f"{model.max_length:,} tokens" in facts
        assert "float32" in facts
        for answer, reward in zip(answers, expected, strict=True):
            page.locator("textarea").nth(0).fill("What is 7 times 8?")
            page.locator("textarea").nth(1).fill(answer)
            page.get_by_role("button", name="Score", exact=True).click()
            shown = page.locator("#result strong").filter(has_text=f"{reward:.4f}"[:-1])
            shown.wait_for()
        rewards = [
            float(text) for text in page.locator("#history td:first-child").all_inner_texts()
        ]
        assert rewards == pytest.approx(sorted(expected, reverse=True), abs=1e-4)
        page.locator("#paths").filter(has_text="/v1/rewards").wait_for()
        scored = page.locator("#tiles div").filter(has_text="Conversations scored").locator("dd")
        scored.filter(has_text="2").wait_for()


def test_what_the_server_refuses_is_said_and_hostile_text_stays_text(
    model: rmeval.RewardModel, open_page: Any
) -> None:
    with serving(model, on_long="refuse") as client:
        page = open_page(client)
        page.locator("textarea").nth(0).fill("word " * 3000)
        page.get_by_role("button", name="Score", exact=True).click()
        page.locator("#result.bad").filter(has_text="more than the 2048 tokens").wait_for()
        page.locator("textarea").nth(0).fill(HOSTILE)
        page.locator("textarea").nth(1).fill(HOSTILE)
        page.get_by_role("button", name="Score", exact=True).click()
        page.locator("#history").filter(has_text="<img src=x").wait_for()
        assert page.locator("img").count() == 0


def test_messages_are_added_and_removed_with_the_keyboard_alone(
    model: rmeval.RewardModel, open_page: Any
) -> None:
    with serving(model) as client:
        page = open_page(client)
        page.locator("#add").focus()
        page.keyboard.press("Enter")
        page.keyboard.type("And 9 times 9?")
        assert page.locator("textarea").count() == 3
        assert page.locator("textarea").nth(2).input_value() == "And 9 times 9?"
        assert page.locator("select").nth(2).input_value() == "user"
        page.get_by_role("button", name="Remove message 3").press("Enter")
        assert page.locator("textarea").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_by_everyone_and_fits_a_phone(
    model: rmeval.RewardModel, open_page: Any, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with serving(model, name="a-long-name-" * 8) as client:
        size = {"width": 390, "height": 844}
        page = open_page(client, viewport=size, color_scheme=scheme, bypass_csp=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        found = axe.Axe().run(page).response["violations"]
        assert not found, [(item["id"], item["nodes"][0]["html"]) for item in found]


def test_the_key_is_asked_for_and_a_browser_may_give_it_as_a_password(
    model: rmeval.RewardModel, open_page: Any
) -> None:
    with serving(model, key="secret") as client:
        given = {"username": "any", "password": "secret"}
        page = open_page(client, http_credentials=given)
        page.locator("textarea").nth(1).fill("56")
        page.get_by_role("button", name="Score", exact=True).click()
        page.locator("#result strong").wait_for()


def test_its_policy_allows_its_own_script_and_nothing_else(model: rmeval.RewardModel) -> None:
    with serving(model) as client:
        policy = client.get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        assert "unsafe-eval" not in policy
        assert client.get("/").headers["x-content-type-options"] == "nosniff"
