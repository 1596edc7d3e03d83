"""What docs/serving.md shows works as it shows it: its commands, its functions, a real training."""

import asyncio
import importlib.util
import json
import multiprocessing
import re
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from serving_by_hand import Client, opened, serving, talk

import rmeval
from rmeval.serving.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
PROGRAM = "\n\n".join(re.findall(r"```python\n(.*?)```", GUIDE, re.S))
TALKS = [talk("Name a prime above 10.", "11"), talk("Why is the sky blue?", "It is a mirror.")]
PROMPTS = [given[:-1] for given in TALKS]
ANSWERS = [given[-1]["content"] for given in TALKS]


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def client(model: rmeval.RewardModel) -> Iterator[Client]:
    with serving(model, key="sk-guide") as running:
        yield running


@pytest.fixture(scope="module")
def expected(model: rmeval.RewardModel) -> Any:
    return pytest.approx(model.score(TALKS), abs=1e-4)


@pytest.fixture
def functions(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The guide's program as a module, from a file, as verl takes it."""
    return program_for(client, tmp_path, monkeypatch, "sk-guide")


def program_for(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch, key: str = "none"
) -> Any:
    (folder / "rewards.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setenv("RMEVAL_URL", f"http://127.0.0.1:{client.port}")
    monkeypatch.setenv("RMEVAL_API_KEY", key)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    spec = importlib.util.spec_from_file_location("rewards", folder / "rewards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "rewards", module)
    monkeypatch.syspath_prepend(str(folder))
    spec.loader.exec_module(module)
    return module


def test_the_program_is_as_short_as_the_guide_says() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    lines = [len([line for line in block.splitlines() if line.strip()]) for block in blocks]
    assert len(lines) == 6
    assert max(lines[1:]) <= 8
    imported = re.findall(r"^(?:import|from) (\w+)", PROGRAM, re.M)
    assert set(imported) <= sys.stdlib_module_names


def test_the_curl_of_the_guide_is_answered(client: Client, model: rmeval.RewardModel) -> None:
    (shown,) = re.findall(r"^    (curl .*?\n.*)$", GUIDE, re.M)
    words = shlex.split(shown.replace("\\\n", " "))
    asked = json.loads(words[words.index("-d") + 1])
    path = words[1].removeprefix("http://127.0.0.1:8000")
    answer = client.post(path, words[words.index("-d") + 1], Authorization="Bearer sk-guide")
    scores = model.score(asked["conversations"])
    assert answer.json["scores"] == pytest.approx(scores, abs=1e-4)


def test_the_guide_knows_every_path_and_every_metric_that_it_names_is_there(client: Client) -> None:
    named = set(re.findall(r"`(/[\w/]*)`", GUIDE)) | set(re.findall(r":8000(/[\w/]+)", GUIDE))
    assert PROTOCOLS.keys() | {"/health", "/ready", "/metrics", "/info"} <= named
    written = client.get("/metrics").body.decode()
    metrics = re.findall(r"`(rmeval_\w+)`", GUIDE)
    assert len(metrics) > 8
    assert [name for name in metrics if f"# HELP {name}" not in written] == []


def test_trls_function(functions: Any, expected: Any) -> None:
    answers = [[given[-1]] for given in TALKS]
    found = functions.rmeval_reward(
        prompts=PROMPTS, completions=answers, completion_ids=[[1], [2]], trainer_state=None
    )
    assert found == expected


def test_verls_function(functions: Any, expected: Any) -> None:
    """It hands over everything by name, and a row's extra_info with what it adds."""
    found = [
        functions.compute_score(
            data_source="mine",
            solution_str=answer,
            ground_truth="",
            extra_info={"messages": prompt, "num_turns": None, "rollout_reward_scores": {}},
        )
        for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)
    ]
    assert found == expected


def test_areals_function_in_a_process_of_its_own(functions: Any, expected: Any) -> None:
    """Its wrapper pickles the function, and calls it in a pool of processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        calls = [
            pool.submit(
                functions.areal_reward, "…", f"{answer}<|im_end|>", [1], [2], messages=p, answer=""
            )
            for p, answer in zip(PROMPTS, ANSWERS, strict=True)
        ]
        assert [call.result(60) for call in calls] == expected


def test_ms_swifts_function(functions: Any, expected: Any) -> None:
    """It makes what `orms` holds with its arguments, and calls that with all columns of a batch."""
    (line,) = re.findall(r'`(orms\["rmeval"\] = [^`]+)`', GUIDE)
    orms: dict[str, Any] = {}
    exec(line, {"orms": orms, **vars(functions)})
    reward = orms["rmeval"](args=None)
    assert reward(ANSWERS, messages=TALKS, trainer_state=None, request_id=["a", "b"]) == expected


class Said(BaseModel):
    """A message as verifiers has it."""

    role: str
    content: str
    tool_calls: list[Any] | None = None


def test_prime_rls_function(functions: Any, expected: Any) -> None:
    class Trace:
        def __init__(self, given: Any) -> None:
            self.messages = [Said(**message) for message in given]

    async def both() -> list[float]:
        return list(await asyncio.gather(*(functions.trace_reward(Trace(t)) for t in TALKS)))

    assert asyncio.run(both()) == expected


def test_what_cannot_be_scored_ends_the_training_with_the_servers_reason(functions: Any) -> None:
    with pytest.raises(RuntimeError, match="conversation 1"):
        functions.rewards([TALKS[0], []])
    functions.KEY = "another"
    with pytest.raises(RuntimeError, match="key"):
        functions.rewards(TALKS)


def test_a_server_that_is_loading_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, pauses, model = Event(), [], opened()

    def load() -> Any:
        assert loaded.wait(60)
        return model

    with serving(load) as client:
        functions = program_for(client, tmp_path, monkeypatch)

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            loaded.set()
            client.until("/ready", 200)

        monkeypatch.setattr(functions, "time", SimpleNamespace(sleep=sleep))
        assert functions.rewards(["a", "abc"]) == [1.0, 3.0]
    assert pauses == [5]


def test_nobody_who_listens_is_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(opened()) as client:
        functions = program_for(client, tmp_path, monkeypatch)
    pauses: list[float] = []
    monkeypatch.setattr(functions, "time", SimpleNamespace(sleep=pauses.append))
    with pytest.raises(OSError, match="refused"):
        functions.rewards(["a"], tries=3)
    assert pauses == [5, 5]


@pytest.mark.filterwarnings("ignore")  # those of another library's training
def test_a_training_of_trls_is_rewarded_with_the_models_own_rewards(
    functions: Any, model: rmeval.RewardModel, tmp_path: Path
) -> None:
    """GRPO, two steps of a tiny language model that writes bytes."""
    trl = pytest.importorskip("trl")
    import datasets
    import torch
    import transformers
    from readable import TEMPLATE, add_tokenizer

    add_tokenizer(tmp_path, TEMPLATE + "{% if add_generation_prompt %}<|assistant|>{% endif %}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "vocab_size": 259}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512}
    torch.manual_seed(0)
    policy = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**sizes, **heads, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    )
    seen: list[Any] = []

    def rmeval_reward(prompts: Any, completions: Any, **columns: Any) -> list[float]:
        found = functions.rmeval_reward(prompts, completions, **columns)
        seen.append(([[*p, *a] for p, a in zip(prompts, completions, strict=True)], found))
        return list(found)

    trainer = trl.GRPOTrainer(
        policy,
        reward_funcs=rmeval_reward,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            max_steps=2,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=datasets.Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        processing_class=tokenizer,
    )
    trainer.train()
    assert len(seen) == 2
    for talks, found in seen:
        assert found == pytest.approx(model.score(talks), abs=1e-4)
    logged = [line["rewards/rmeval_reward/mean"] for line in trainer.state.log_history[:2]]
    assert logged == pytest.approx([sum(found) / 4 for _, found in seen], abs=1e-4)
