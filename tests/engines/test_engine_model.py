"""Rewards of an engine elsewhere are the model's own, and nothing else is ever kept as such."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from demo_engine import demo, reward, same, talks
from engine_stub import Stub, Vllm
from loopback import Reply

import rmeval
from rmeval.engine.scoring import MemoryStore
from rmeval.engines.client import OtherEngine
from rmeval.engines.loading import engine_model
from rmeval.engines.model import EngineModel, Service
from rmeval.engines.parity_file import write_record
from rmeval.errors import BadConversation, BadData, BadOption, ServerFailure
from rmeval.models.doctor.expected import expect_right, probe_rows
from rmeval.results.standings import engine_note

GOLDEN_TEXT = Path(__file__).parents[1] / "golden_text"
RESTARTED = "another checkpoint answers"


@pytest.fixture
def vllm() -> Vllm:
    return Vllm(lambda ids: reward(tuple(ids)))


@pytest.fixture
def stub(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RMEVAL_API_KEY", raising=False)
    with Stub(vllm).run() as running:
        yield running


@pytest.fixture
def served(stub: Stub) -> Callable[..., EngineModel]:
    """Makes the model of the stub; `service` are settings of how it is asked."""

    def make(engine: str = "vllm", **service: Any) -> EngineModel:
        how = {"seconds": 10.0, "pause": 0.001, "concurrency": 4, **service}
        return engine_model("demo", Service(stub.url, engine, **how), {})

    return make


class Counting(MemoryStore):
    """A store that knows how often something was put into it."""

    puts = 0

    def put(self, digest: bytes, rewards: list[float]) -> None:
        self.puts += 1
        super().put(digest, rewards)


def write_rewards(path: Path) -> None:
    """What `rmeval doctor --record` writes, without what explains mistakes, which takes minutes."""
    found = expect_right(demo(), probe_rows(demo()))
    write_record(path, replace(found, model=demo().provenance()), {"rmeval": rmeval.__version__})


def rewards_of(row: Any) -> list[float]:
    return [one.value for one in row.scores]


def score(model: Any, count: int, store: Any = None) -> list[float]:
    from rmeval.conversations import to_conversations

    scores = model.score_conversations(to_conversations(talks(count)), store=store)
    return [one.value for one in scores]


def test_rewards_are_those_of_the_model_here(served: Any) -> None:
    assert same(score(served(), 150), demo().score(talks(150)))


def test_requests_are_bounded_and_equal_conversations_asked_once(served: Any, stub: Any) -> None:
    model = served(request_tokens=300)
    talk = talks(40)
    model.score([*talk, *talk])
    sent = [body["input"] for _, body in stub.asked[-12:]]
    guards = len(model.met.guard.inputs)
    assert all(sum(map(len, rows)) <= 300 for rows in sent)
    every = [tuple(row) for _, body in stub.asked for row in body["input"][guards:]]
    asked = [row for row in every if row in {tuple(demo().encode(one)) for one in talk}]
    assert len(asked) == len(set(asked)) == 40


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"heeds_activation": False}, "with and without `use_activation`"),
        (
            {"heeds_activation": False, "activation": lambda reward: 1.0},
            "gives every conversation 1, which is a softmax over one label",
        ),
        ({"extra_tokens": 1}, "tokens where .* were sent: it adds or cuts tokens"),
    ],
)
def test_rewards_that_are_not_raw_are_refused_before_the_first_row(
    served: Any, vllm: Vllm, broken: dict[str, Any], said: str
) -> None:
    vars(vllm).update(broken)
    store = Counting()
    with pytest.raises(ServerFailure, match=said):
        score(served(), 3, store)
    assert not store.puts


def test_who_insists_is_told_in_the_result(served: Any, vllm: Vllm) -> None:
    vllm.heeds_activation = False
    model = served(insist=True)
    assert all(0 < value < 1 for value in score(model, 3))
    assert "use_activation" in model.examine([])
    assert "use_activation" in model.warnings[0]


def test_rewards_between_0_and_1_pass_where_the_option_is_heeded(served: Any, vllm: Vllm) -> None:
    vllm.score = lambda ids: 1 / (2 + sum(ids) % 1000)
    assert all(0 < value < 1 for value in score(served(), 3))


def test_rows_longer_than_the_engine_takes_are_counted_before_any_is_asked(
    served: Any, vllm: Vllm
) -> None:
    model = served()
    assert model.met
    lengths = [len(demo().encode(talk)) for talk in talks(20)]
    vllm.max_model_len = most = sorted(lengths)[-3] - 1
    longer = sum(length > most for length in lengths)
    with pytest.raises(BadOption) as raised:
        score(served(), 20)
    assert f"{longer} of 20 conversations are longer than the {most} tokens" in str(raised.value)
    assert f"start it with --max-model-len {max(lengths)}, or pass" in str(raised.value)


def test_a_row_that_the_engine_refuses_is_named_and_the_others_before_it_are_kept(
    served: Any, vllm: Vllm
) -> None:
    bad = demo().encode(talks(90)[77])

    def before(method: str, path: str, body: Any) -> Reply:
        refused = method == "POST" and bad in body["input"]
        return Reply({"error": {"message": "no such token"}}, 400) if refused else Reply(None)

    vllm.before = before
    store = Counting()
    with pytest.raises(BadConversation, match="no such token") as raised:
        score(served(concurrency=1), 90, store)
    assert raised.value.index == 77
    assert store.puts > 20


@pytest.mark.parametrize("at", [0, 3, 9])
def test_an_engine_that_is_started_anew_with_another_checkpoint_leaves_nothing_wrong(
    served: Any, vllm: Vllm, stub: Any, at: int
) -> None:
    """`at`: after so many requests; another process answers from then on, without a word."""
    true, store, seen = vllm.score, Counting(), [0]
    model = served(concurrency=2, request_tokens=300)
    assert model.met

    def restart(method: str, path: str, body: Any) -> Reply:
        seen[0] += method == "POST"
        if seen[0] >= at:
            vllm.score = lambda ids: -0.7 * true(ids) + 3
        return Reply(None)

    vllm.before = restart
    with pytest.raises(OtherEngine, match=RESTARTED):
        score(model, 60, store)
    kept = {value for row in store.values() for value in row}
    real = {reward(tuple(demo().encode(talk))) for talk in talks(60)}
    real |= {row[0] for row in model.met.guard.rows}
    assert kept <= real
    assert at < 3 or len(kept) > 3
    vllm.before, vllm.score = lambda *asked: Reply(None), true
    assert same(score(served(), 60, store), demo().score(talks(60)))


def test_what_is_kept_of_another_checkpoint_is_not_gone_on_with(served: Any, vllm: Vllm) -> None:
    store = Counting()
    score(served(), 3, store)
    vllm.score = lambda ids: 5.0 + sum(ids) % 17
    with pytest.raises(OtherEngine, match=f"when earlier rows were scored .* {RESTARTED}"):
        score(served(), 6, store)


def test_an_engine_that_was_away_is_asked_who_it_is(served: Any, vllm: Vllm) -> None:
    model, broken = served(), [0]
    assert model.met

    def before(method: str, path: str, body: Any) -> Reply:
        if method == "POST" and not broken[0]:
            broken[0], vllm.root = 1, "another"
            return Reply({}, cut=True)
        return Reply(None)

    vllm.before = before
    with pytest.raises(OtherEngine, match="root was ckpt, and is another: the engine was started"):
        score(model, 3)


def test_a_full_engine_with_room_for_one_still_scores_all(served: Any, vllm: Vllm) -> None:
    model = served(concurrency=2)
    assert model.met
    vllm.room = 1
    assert same(score(model, 10), demo().score(talks(10)))


def test_a_run_that_was_broken_off_asks_only_for_the_rest_and_ends_with_the_same(
    served: Any, vllm: Vllm, stub: Any
) -> None:
    whole = Counting()
    wanted = score(served(), 60, whole)
    store, left = Counting(), [25]

    def dies(method: str, path: str, body: Any) -> Reply:
        left[0] -= method == "POST"
        return Reply({}, 418) if left[0] < 0 else Reply(None)

    vllm.before = dies
    with pytest.raises(ServerFailure, match="418"):
        score(served(concurrency=1, request_tokens=200), 60, store)
    done = store.puts
    assert 5 < done < 60
    vllm.before = lambda *asked: Reply(None)
    assert score(served(concurrency=7), 60, store) == wanted
    assert store == whole
    assert store.puts == len(whole)


def test_an_engine_of_text_gets_text_of_these_very_tokens(served: Any, stub: Any) -> None:
    tokenizer = demo().tokenizer

    def answer(method: str, path: str, body: Any) -> Reply:
        if path != "/get_reward":
            return Reply({"detail": "Not Found"}, 404)
        rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in body["query"]]
        return Reply({"rewards": [reward(tuple(row)) for row in rows], "extra_logs": {}})

    stub.answer = answer
    model = served(engine="openrlhf")
    assert same(score(model, 20), demo().score(talks(20)))
    assert model.provenance()["engine"] == {"server": "openrlhf", "mode": "reward"}


def test_what_has_no_reward_of_a_state_is_refused(served: Any) -> None:
    with pytest.raises(BadOption, match="`device=` is for a network on this machine"):
        rmeval.open_engine("demo", "http://127.0.0.1:9", device="cuda")
    policy = GOLDEN_TEXT / "dpo" / "policy"
    with pytest.raises(BadOption, match="a DPO policy"):
        rmeval.open_engine(policy, "http://127.0.0.1:9", reference="none")


def test_the_result_says_which_engine_and_that_nobody_compared_it(
    served: Any, tmp_path: Path
) -> None:
    model = served()
    result = rmeval.evaluate(model, rmeval.load_benchmark("demo"), limit=6, output=tmp_path)
    here = rmeval.evaluate(demo(), rmeval.load_benchmark("demo"), limit=6, output=tmp_path)
    assert result.folder != here.folder
    written = json.loads((result.folder / "result.json").read_text())["provenance"]
    assert written["engine"]["server"] == "vllm 0.32.0"
    assert written["engine"]["mode"] == "reward"
    assert written["engine"]["parity"] is None
    assert written["model"]["fingerprint"] == here.provenance["model"]["fingerprint"]
    assert written["model"]["name"] == "demo@vllm"
    for mine, theirs in zip(result.scored, here.scored, strict=True):
        assert same(rewards_of(mine), rewards_of(theirs))


def test_where_the_engine_is_and_how_it_is_asked_is_no_part_of_what_is_kept(served: Any) -> None:
    from rmeval.evaluation import scoring_provenance, store_settings

    settings = store_settings(scoring_provenance(served(concurrency=1)))
    assert settings == store_settings(scoring_provenance(served(concurrency=9, request_tokens=999)))
    assert settings != store_settings(scoring_provenance(demo()))
    assert "127.0.0.1" not in json.dumps(settings)
    assert settings["model"]["engine"] == {"server": "vllm 0.32.0", "mode": "reward"}


def test_an_engine_is_held_to_a_record_of_the_models_own_rewards(
    stub: Stub, vllm: Vllm, tmp_path: Path
) -> None:
    record = tmp_path / "parity.json"
    write_rewards(record)
    model = rmeval.open_engine("demo", stub.url, against=record)
    result = rmeval.evaluate(model, rmeval.load_benchmark("demo"), limit=4)
    parity = result.provenance["engine"]["parity"]
    assert parity is not None
    assert parity["share"] < 1e-4
    assert parity["rows"] >= 15
    (note,) = engine_note(result.provenance["engine"])
    assert note.startswith("rewards of vllm 0.32.0, up to ")
    assert "from the model's own" in note
    true = vllm.score
    vllm.score = lambda ids: (true(ids) - 1.5) / 3
    with pytest.raises(ServerFailure, match=r"why: the reward scaled and shifted, 0\.333 r -0\.5"):
        rmeval.open_engine("demo", stub.url, against=record).examine([])


def test_a_record_of_another_model_is_none_to_hold_an_engine_to(stub: Stub, tmp_path: Path) -> None:
    record = tmp_path / "parity.json"
    write_rewards(record)
    text = record.read_text().replace(demo().fingerprint, "0" * 64)
    record.write_text(text)
    with pytest.raises(BadData, match="whose fingerprint is not that of demo"):
        rmeval.open_engine("demo", stub.url, against=record).examine([])
