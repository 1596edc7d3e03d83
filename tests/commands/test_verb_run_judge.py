"""`rmeval run --model judge:…`: a loopback server judges, well or badly; nothing is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from documented import assert_documented
from loopback import Loopback, Reply, choices, failure, serving
from tiny_generator import tiny_generator

from rmeval.judging.format_files import shipped_formats
from rmeval.llm import address

SHOWN = re.compile(r"Start of Assistant .'s Answer\]\n(.*?)\n\[The End", re.S)
ROWS = [(f"q{n}", "good " * (2 + n % 3 * 3), "bad " * 5) for n in range(12)]


def shown(asked: dict[str, Any]) -> list[str]:
    return SHOWN.findall(asked["messages"][-1]["content"])


def perfect(asked: dict[str, Any]) -> Reply:
    return choices("[[A]]" if "good" in shown(asked)[0] else "[[B]]", usage=(50, 4))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch, perfect, key="sk-secret", retries=2) as running:
        monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    lines = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in ROWS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def run(server: Loopback, data: Path, tmp_path: Path) -> tuple[object, ...]:
    where = ("--endpoint", server.url, "--benchmark", data, "--output", tmp_path / "out")
    return ("run", "--model", "judge:org/tiny:8b", *where)


def folder(tmp_path: Path) -> Path:
    return tmp_path / "out/mine/judge-org__tiny_8b@rewardbench"


def document(tmp_path: Path) -> dict[str, Any]:
    return json.loads((folder(tmp_path) / "result.json").read_text())


def test_a_perfect_judge_scores_100_and_everything_is_said(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    out, err = done(capsys, *run, "--price", "1,2.5")
    assert document(tmp_path)["metrics"]["overall"] == 1.0
    assert (
        "verdicts: 24; ties 0, unparsable 0 (each half a win); of the others 50.0 % for the "
        "response shown first; in 0 of 12 pairs the place decided in both orders\n"
    ) in out
    # 24 · 50 tokens at 1 USD and 24 · 4 at 2.50 USD a million
    assert (
        "answers: 24 (0 kept from before), 1,200 tokens in, 96 out, cost 0.0014 USD\n"
        "asked with the prompt format rewardbench, both orders, temperature 0, up to 2,048 new "
        f"tokens; server {server.url}, "
    ) in out
    assert "ties (each half a win): 0;" in out
    assert "checks of the model" not in out
    assert err.splitlines()[-1].startswith("scored 24 of 24 calls, ")
    provenance = document(tmp_path)["provenance"]
    assert provenance["account"]["usd"] == pytest.approx(0.00144)
    assert provenance["checks"] == "not made"
    assert provenance["model"]["prompt"]["name"] == "rewardbench"
    assert_documented(folder(tmp_path))
    lines = (folder(tmp_path) / "answers.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "id": json.loads(lines[0])["id"],
        "shown": [1, 0],
        "verdict": "second",
        "text": "[[B]]",
        "finish": "stop",
        "prompt_tokens": 50,
        "completion_tokens": 4,
        "refused": False,
        "server": server.url,
    }
    assert len(lines) == 24


def test_a_judge_of_length_scores_what_counting_words_scores(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    server.answer = lambda asked: choices(
        "[[A]]" if len(shown(asked)[0].split()) > len(shown(asked)[1].split()) else "[[B]]"
    )
    done(capsys, *run)
    # 2 and 5 words for good against 5 for bad lose and tie (both orders say B), 8 win.
    metrics = document(tmp_path)
    assert metrics["metrics"]["overall"] == pytest.approx((4 * 0 + 4 * 0.5 + 4 * 1) / 12)
    assert metrics["counts"]["ties"] == 4
    assert metrics["counts"]["verdicts_for_first"] == 8


def test_a_judge_that_always_says_a_is_50_percent_and_exposed(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    server.answer = lambda asked: choices("[[A]]")
    out, _ = done(capsys, *run)
    assert document(tmp_path)["metrics"]["overall"] == 0.5
    assert "ties (each half a win): 12;" in out
    assert "of the others 100.0 % for the response shown first; in 12 of 12 pairs the place" in out
    assert "tokens not counted by the server" in out


def test_answers_without_a_verdict_are_counted_and_shown(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    odd = ["I cannot help.", "", "[[A]] [[B]]"]
    server.answer = lambda asked: choices(
        odd[int(asked["messages"][-1]["content"].split("\nq")[1][0]) % 3]
    )
    out, _ = done(capsys, *run)
    assert "verdicts: 24; ties 0, unparsable 24 (each half a win)" in out
    server.answer = lambda asked: choices("so on " * 100, finish="length")
    out, _ = done(capsys, *run, "--fresh")
    assert "unparsable 24" in out
    assert "24 cut at the limit of new tokens" in out


def test_aggregate_finds_the_same_without_a_judge(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    answers = iter(["[[A]]", "[[B]]", "", "[[B]]", "[[A]]", "?"] * 4)
    server.answer = lambda asked: choices(next(answers))
    out, _ = done(capsys, *run, "--concurrency", 1)
    again, _ = done(capsys, "aggregate", folder(tmp_path))
    assert again.splitlines()[-1] == "as stored"
    of_the_run = out.split("\n\n", 1)[1].splitlines()
    assert of_the_run[-2].startswith("kept in ")  # before where the time went
    assert again.splitlines()[:-1] == of_the_run[:-2]


def test_a_run_goes_on_after_failures_and_ends_with_the_same_bytes(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    done(capsys, *run, "--output", tmp_path / "whole")
    whole = (tmp_path / "whole/mine/judge-org__tiny_8b@rewardbench/scores.jsonl").read_bytes()
    before, served = len(server.asked), []

    def dies(asked: dict[str, Any]) -> Reply:
        served.append(asked)
        return perfect(asked) if len(served) <= 9 else failure(401, "key sk-secret expired")

    server.answer = dies
    line = refusal(capsys, *run, "--concurrency", 1)
    assert line.startswith(
        "5 of 24 calls failed, and 10 more were not made; answers are kept, run again to continue; "
    )
    assert line.endswith("AuthenticationError (Error code: 401 - key … expired)")
    assert not list((tmp_path / "out").rglob("result.json"))
    assert len(server.asked) - before == 14
    before, server.answer = len(server.asked), perfect
    out, _ = done(capsys, *run)
    assert len(server.asked) - before == 15
    assert "answers: 24 (9 kept from before)" in out
    assert (folder(tmp_path) / "scores.jsonl").read_bytes() == whole
    before = len(server.asked)
    done(capsys, *run)
    assert len(server.asked) == before
    done(capsys, *run, "--fresh")
    assert len(server.asked) == before + 24


SERVED = """
import sys
from rmeval.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_control_c_in_a_real_process_keeps_every_answer(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    server.answer = lambda asked: Reply(perfect(asked).body, seconds=0.2)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED, *map(str, run), "--concurrency", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    patience = time.monotonic() + 60
    while len(server.asked) < 7 and time.monotonic() < patience:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "rmeval: interrupted; run the same command again to resume"
    assert "Traceback" not in err
    before, server.answer = len(server.asked), perfect
    out, _ = done(capsys, *run)
    kept = int(re.search(r"answers: 24 \((\d+) kept", out)[1])
    assert kept >= before - 2  # those under way
    assert 24 - kept <= len(server.asked) - before <= 24 - kept + 2


def test_another_server_under_the_same_name_is_asked_itself(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    done(capsys, *run)
    asked = len(server.asked)
    for spelled in (server.url.replace("http", "HTTP"), f"{server.url}/"):
        done(capsys, *run, "--endpoint", spelled)
    assert len(server.asked) == asked
    before = (folder(tmp_path) / "result.json").read_bytes()
    with Loopback().run() as other:
        other.answer = lambda asked: choices("[[A]]")
        done(capsys, *run, "--endpoint", other.url)
        assert len(other.asked) == asked
    refusal(capsys, *run, "--endpoint", "http://127.0.0.1:9/v1", "--timeout", 1)
    assert (folder(tmp_path) / "result.json").read_bytes() == before
    found = sorted((tmp_path / "out").rglob("result.json"))
    servers = [json.loads(p.read_text())["provenance"]["account"]["servers"] for p in found]
    assert len({tuple(names) for names in servers}) == 2


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("HTTP://Example.COM:80/v1/", "http://example.com/v1"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:443/V1", "http://example.com:443/V1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_url_has_one_spelling(url: str, plain: str) -> None:
    assert address.plain_url(url) == plain


def test_rows_that_the_server_refuses_make_the_result_partial(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    server.answer = lambda asked: (
        failure(400, "too long") if "\nq3\n" in asked["messages"][-1]["content"] else perfect(asked)
    )
    out, _ = done(capsys, *run)
    assert "PARTIAL: 1 of 12 rows were refused by the judge. No table ranks it." in out
    assert document(tmp_path)["provenance"]["data"]["rows"] == 11
    assert done(capsys, "aggregate", folder(tmp_path))[0].splitlines()[-1] == "as stored"


def test_a_wrong_name_is_the_servers_words_and_no_result(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    for status in (404, 400):
        server.answer = lambda asked, status=status: failure(status, "The model is not here")
        line = refusal(capsys, *run)
        assert line.startswith(f"no call was answered; the first: {server.url}: ")
        assert "The model is not here" in line
    assert not list((tmp_path / "out").rglob("result.json"))


def test_the_key_is_in_no_file(run, capsys: Capture, tmp_path: Path, server: Loopback) -> None:
    done(capsys, *run)
    assert server.headers[0]["authorization"] == "Bearer sk-secret"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"sk-secret" in path.read_bytes() for path in files)


def test_a_random_order_makes_half_the_calls(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    out, _ = done(capsys, *run, "--order", "random", "--seed", 7)
    assert len(server.asked) == 12
    assert "random order, seed 7" in out
    assert "the place decided" not in out
    found = folder(tmp_path).with_name("judge-org__tiny_8b@rewardbench-random-7")
    assert json.loads((found / "result.json").read_text())["metrics"]["overall"] == 1.0


def test_rewardbench_2_is_rated_and_a_shared_win_said(
    capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    path = tmp_path / "rb2.jsonl"
    rows = [
        {"id": str(n), "subset": "Math", "prompt": f"q{n}", "num_correct": 1,
         "chosen": ["good"], "rejected": ["bad 1", "bad 2", "good 2"]}
        for n in range(2)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    server.answer = lambda asked: choices(
        "[[8]]" if "[Response]\ngood" in asked["messages"][-1]["content"] else "[[3]]"
    )
    where = ("--endpoint", server.url, "--output", tmp_path / "out")
    out, _ = done(
        capsys, "run", "--model", "judge:t", "--benchmark", "rewardbench-2", "--data", path, *where
    )
    assert "ratings: 8; unparsable 0 (rated as the others of their row are on average)" in out
    assert "ties (a win is shared): 2;" in out
    assert "asked with the prompt format rating, temperature 0" in out
    found = json.loads((tmp_path / "out/rewardbench-2/judge-t@rating/result.json").read_text())
    assert found["metrics"]["subset/Math"] == 0.5  # the best of four is shared by two


def test_what_a_run_would_send_is_said_and_nothing_is_sent(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    out, err = done(capsys, *run, "--dry-run", "--max-new-tokens", 10)
    assert re.sub(r"send +[\d,]+", "send N", out) == (
        "judge:org/tiny:8b on mine, nothing asked\n"
        "  rows            12\n"
        "  calls           24, prompt format rewardbench\n"
        "  to send N characters\n"
        "  to come back    up to 240 tokens\n"
    )
    assert (err, server.asked) == ("", [])
    assert not (tmp_path / "out").exists()
    done(capsys, *run)
    sent = sum(len(m["content"]) for asked in server.asked for m in asked["messages"])
    assert f"to send         {sent:,} characters" in out


JUDGE = ("run", "--model", "judge:tiny", "--benchmark", "demo")
SERVER = ("--endpoint", "http://127.0.0.1:9/v1")
REFUSED = {
    "an endpoint without a judge": (("run", *SERVER), "asked by `rmeval run --model judge:NAME`"),
    "a prompt without a judge": (("run", "--prompt", "rating"), "--prompt goes with --model judge"),
    "no name": (("run", "--model", "judge:", *SERVER), "judge: names no judge"),
    "a dtype of a server": ((*JUDGE, *SERVER, "--dtype", "float32"), "--dtype is for a model on"),
    "an engine": ((*JUDGE, "--engine", "packed"), "--engine is for reward models"),
    "no checks": ((*JUDGE, "--no-checks"), "--no-checks is for reward models"),
    "a price of one's own": ((*JUDGE, "--price", "1,2"), "--price goes with --endpoint only"),
    "a bad price": ((*JUDGE, *SERVER, "--price", "cheap"), "'cheap' is not two prices, IN,OUT"),
    "an endless price": ((*JUDGE, *SERVER, "--price", "1,inf"), "is not two prices"),
    "a bad seed": ((*JUDGE, *SERVER, "--seed", "x"), "'x' is not a whole number"),
    "an unknown order": ((*JUDGE, *SERVER, "--order", "bot"), "did you mean 'both'"),
    "an unknown format": ((*JUDGE, *SERVER, "--prompt", "ratin"), "did you mean 'rating'"),
    "an order of ratings": (
        (*JUDGE, *SERVER, "--prompt", "rating", "--order", "both"),
        "--order both is not of the rating format rating: it rates one by one",
    ),
    "a judge that is no model": (JUDGE, "judge tiny: no model that transformers knows"),
    "a judge elsewhere": (
        ("doctor", "--model", "judge:x"),
        "a judge gives no rewards; use `rmeval run`",
    ),
    "a judge to show": (("show", "demo", "0", "--model", "judge:x"), "a judge gives no rewards"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_go_together_is_refused_in_one_line(
    capsys: Capture, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, said = REFUSED[kind]
    assert said in refusal(capsys, *arguments)


def test_a_launcher_of_several_processes_is_refused(
    run, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert refusal(capsys, *run).startswith("a judge runs in one process")


def test_store_and_list_know_judges(run, capsys: Capture, tmp_path: Path) -> None:
    done(capsys, *run)
    row = done(capsys, "store", tmp_path / "out")[0].splitlines()[-1]
    assert row.split()[1] == "24"
    assert "finished" in row
    done(capsys, "store", tmp_path / "out", "--prune")
    assert not list((tmp_path / "out").rglob("*.sqlite"))
    out, _ = done(capsys, "list", "judges")
    listed = [line.split()[0] for line in out.splitlines()[2 : 2 + len(shipped_formats())]]
    assert listed == list(shipped_formats())


def test_a_language_model_here_is_a_judge_too(capsys: Capture, data: Path, tmp_path: Path) -> None:
    model = tiny_generator(tmp_path / "lab/judge")
    where = ("--benchmark", data, "--output", tmp_path / "out", "--device", "cpu")
    run = ("run", "--model", f"judge:{model}", *where, "--max-new-tokens", 3, "--judge-batch", 5)
    capsys.readouterr()
    out, _ = done(capsys, *run)
    assert "unparsable 24" in out
    assert "lengths in tokens" in out
    scores = tmp_path / "out/mine/judge-lab__judge@rewardbench-n3/scores.jsonl"
    first = scores.read_bytes()
    assert "24 kept from before" in done(capsys, *run)[0]
    assert scores.read_bytes() == first
    (tmp_path / "lab/judge/model.safetensors").unlink()
    out, _ = done(capsys, *run, "--dry-run")  # reads no weights
    assert "calls           24" in out
    refusal(capsys, *run)


def test_a_model_here_is_opened_once_for_several_benchmarks(
    capsys: Capture, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rmeval.models.checkpoints.checkpoint import Checkpoint

    hashed: list[str] = []
    whole = Checkpoint.fingerprint
    monkeypatch.setattr(
        Checkpoint, "fingerprint", lambda self: hashed.append(self.name) or whole(self)
    )
    other = data.with_name("other.jsonl")
    other.write_bytes(data.read_bytes())
    model = tiny_generator(tmp_path / "lab/judge")
    run = ("run", "--model", f"judge:{model}", "--benchmark", f"{data},{other}", "--device", "cpu")
    done(capsys, *run, "--output", tmp_path / "out", "--max-new-tokens", 3)
    assert hashed == [str(model)]
    found = (tmp_path / "out").glob("*/judge-lab__judge@rewardbench-n3/scores.jsonl")
    assert len(list(found)) == 2


def test_the_better_of_two_ways_is_named_and_both_are_kept(
    run, capsys: Capture, tmp_path: Path, server: Loopback
) -> None:
    def worse_at_rating(asked: dict[str, Any]) -> Reply:
        rating = "[Response]" in asked["messages"][-1]["content"]
        return choices("[[5]]") if rating else perfect(asked)

    server.answer = worse_at_rating
    out, _ = done(capsys, *run, "--prompt", "rewardbench,rating")
    assert (
        "mine, asked in 2 ways: rewardbench 100.0, rating 50.0; the better is rewardbench. Taken "
        "for the judge's Score, it would be chosen after the fact: say so with it\n"
    ) in out
    kept = sorted(path.name for path in (tmp_path / "out/mine").iterdir())
    assert kept[-2:] == ["judge-org__tiny_8b@rating", "judge-org__tiny_8b@rewardbench"]


def test_samples_are_said_with_the_score_by_either_vote(
    run, capsys: Capture, server: Loopback
) -> None:
    server.answer = lambda asked: (
        perfect(asked) if asked["seed"] % 3 else choices("[[A]]", usage=(50, 4))
    )
    out, _ = done(capsys, *run, "--samples", "3", "--temperature", "0.5", "--vote", "majority")
    assert (
        "3 samples of each answer, one verdict by majority; the Score by mean 100.0, by majority "
        "100.0; a row with its samples is one row to every interval\n"
    ) in out
    assert "verdicts: 72; ties 0, unparsable 0" in out


LISTWISE = [
    {"id": f"f{n}", "prompt": f"q{n}", "chosen": ["best"], "rejected": ["a", "b", "c"]}
    for n in range(8)
]


def test_a_listwise_run_says_what_an_even_judge_would_give(
    server: Loopback, capsys: Capture, tmp_path: Path
) -> None:
    data = tmp_path / "four.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in LISTWISE))
    server.answer = lambda asked: choices("[[A]]")
    out, _ = done(
        capsys,
        *("run", "--model", "judge:tiny", "--endpoint", server.url, "--benchmark", data),
        *("--prompt", "rewardbench-2", "--order", "latin", "--output", tmp_path / "out"),
    )
    assert (
        "verdicts: 32; ties 0, unparsable 0 (each an even share); of the others 100.0 % for the "
        "response shown first (25.0 % would be even)\n"
    ) in out
    assert "25.0" in out
    assert "in a Latin square of orders, seed 0" in out


RUBRIC = """name = "mine"
kind = "rating"
max_new_tokens = 9
temperature = 0
user = "{criterion} | {prompt} | {response}"
[[criteria]]
text = "Is it right?"
[verdict]
pattern = '(\\d+)'
low = 0
high = 10
"""


def test_a_file_of_criteria_takes_the_place_of_the_formats(
    run, server: Loopback, capsys: Capture, tmp_path: Path
) -> None:
    server.answer = lambda asked: choices("7")
    (tmp_path / "mine.toml").write_text(RUBRIC)
    (tmp_path / "other.toml").write_text('[[criteria]]\ntext = "Is it brief?"\n')
    out, _ = done(
        capsys, *run, "--prompt", tmp_path / "mine.toml", "--criteria", tmp_path / "other.toml"
    )
    assert "ratings: 24; unparsable 0" in out
    assert {a["messages"][0]["content"].split(" | ")[0] for a in server.asked} == {"Is it brief?"}
    criteria = ("--criteria", tmp_path / "other.toml")
    refused = refusal(capsys, *run, "--prompt", "rating", *criteria)
    assert "the prompt format rating asks for no {criterion}" in refused
    refused = refusal(capsys, *run, "--prompt", tmp_path / "mine.toml", "--criteria", "none.toml")
    assert "cannot read the file of criteria none.toml: No such file or directory" in refused


def test_a_batch_is_written_without_a_call_and_read_again(
    run, server: Loopback, capsys: Capture, tmp_path: Path
) -> None:
    out, _ = done(capsys, *run, "--write-batch", tmp_path / "batch")
    assert out == f"{tmp_path / 'batch/batch-1.jsonl'}\n"
    assert server.asked == []
    written = (tmp_path / "batch/batch-1.jsonl").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    answered = tmp_path / "output.jsonl"
    answered.write_text(
        "".join(
            json.dumps(
                {
                    "custom_id": line["custom_id"],
                    "response": {"status_code": 200, "body": perfect(line["body"]).body},
                }
            )
            + "\n"
            for line in lines
        )
    )
    out, _ = done(capsys, *run, "--read-batch", answered)
    assert "answers: 24 (24 kept from before)" in out
    assert document(tmp_path)["metrics"]["overall"] == 1.0
    assert server.asked == []


def test_a_budget_takes_a_price(run, capsys: Capture) -> None:
    assert "--budget takes --price IN,OUT" in refusal(capsys, *run, "--budget", "5")
    assert "is no number of US dollars above 0" in refusal(
        capsys, *run, "--budget", "0", "--price", "1,1"
    )
    said = refusal(capsys, *run, "--budget", "0.0001", "--price", "1,1")
    assert "the next call could pass the budget of 0.0001 USD: 0.0000 spent, 0 of 24" in said
