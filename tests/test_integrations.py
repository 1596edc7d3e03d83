"""Evaluation in a training of transformers' own Trainer, and of TRL's where it is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from readable import TEMPLATE, add_tokenizer
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import rmeval
from rmeval.benchmarks.own import load_own
from rmeval.errors import BadCheckpoint, BadOption
from rmeval.integrations import TrainerEvaluation

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 259}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512}
GENERATION = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    add_tokenizer(folder, TEMPLATE + GENERATION)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Sixty pairs in which the longer answer is preferred."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = [
        {"prompt": f"Say {n}", "chosen": "yes " * (2 + n % 5), "rejected": "no"} for n in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def benchmark(pairs):
    return load_own(str(pairs))


def classifier():
    torch.manual_seed(0)
    return LlamaForSequenceClassification(
        LlamaConfig(**SIZES, **HEADS, num_labels=1, pad_token_id=0)
    )


def arguments(folder, steps, kind=TrainingArguments, **changes):
    options = {"report_to": [], "save_strategy": "no", "use_cpu": True, "disable_tqdm": True}
    options |= {"per_device_train_batch_size": 4, "logging_steps": 2, "max_steps": steps}
    return kind(output_dir=str(folder), **{**options, **changes})


class Heard(TrainerCallback):
    """What reaches those that a Trainer reports to."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **_):
        self.logs.append((state.global_step, dict(logs)))


def rows(tokenizer, sign):
    """Texts with the reward that they should have: `sign` for the preferred, else the opposite."""
    for number in range(48):
        answer = "no" if number % 2 else "yes " * (2 + number % 5)
        talk = [{"role": "user", "content": f"Say {number}"}]
        talk.append({"role": "assistant", "content": answer})
        ids = tokenizer.apply_chat_template(talk, tokenize=True, return_dict=False)
        yield {"input_ids": ids, "labels": -sign if number % 2 else sign}


def train(folder, tokenizer, evaluation, *, steps=4, sign=1.0, rate=1e-2, **changes):
    heard = Heard()
    changes |= {"learning_rate": rate, "lr_scheduler_type": "constant"}
    trainer = Trainer(
        model=classifier(),
        args=arguments(folder, steps, **changes),
        train_dataset=list(rows(tokenizer, sign)),
        processing_class=tokenizer,
        callbacks=[evaluation, heard],
    )
    trainer.train()
    return trainer, heard


def test_the_score_and_the_sections_are_logged_through_the_trainer(tmp_path, tokenizer):
    evaluation = TrainerEvaluation("demo", every=2)
    trainer, heard = train(tmp_path, tokenizer, evaluation)
    logged = [(step, logs) for step, logs in heard.logs if "rmeval/Score" in logs]
    assert [step for step, _ in logged] == [0, 2, 4] == list(evaluation.results)
    assert {"rmeval/Chat", "rmeval/Chat Hard", "rmeval/Safety"} <= logged[0][1].keys()
    kept = [entry for entry in trainer.state.log_history if "rmeval/Score" in entry]
    assert [entry["step"] for entry in kept] == [0, 2, 4]
    assert sum("loss" in logs for _, logs in heard.logs) == 2  # the trainer's own are as ever
    last = rmeval.evaluate(
        rmeval.wrap(trainer.model, tokenizer, engine="padded"), evaluation.benchmark
    )
    assert last.overall == kept[-1]["rmeval/Score"] == evaluation.results[4].overall


def test_a_training_is_the_same_with_and_without_it(tmp_path, tokenizer, benchmark):
    evaluation = TrainerEvaluation(benchmark, every=1, limit=4)
    with_it, _ = train(tmp_path / "a", tokenizer, evaluation)
    without, _ = train(tmp_path / "b", tokenizer, Heard())
    weights = without.model.state_dict()
    assert all(torch.equal(w, weights[name]) for name, w in with_it.model.state_dict().items())


def test_a_run_whose_score_falls_is_stopped_by_the_gates_test(tmp_path, tokenizer, benchmark):
    evaluation = TrainerEvaluation(benchmark, every=10, stop_if_worse=True)
    good, _ = train(tmp_path / "a", tokenizer, evaluation, steps=30)
    assert good.state.global_step == 30
    assert evaluation.results[30].overall > 0.9
    worse = TrainerEvaluation(benchmark, every=10, stop_if_worse=True)
    worse.results.update({-10: evaluation.results[30]})  # what an earlier training came to
    bad, _ = train(tmp_path / "b", tokenizer, worse, steps=200, sign=-1.0)
    assert bad.state.global_step < 200
    watched = TrainerEvaluation(benchmark, every=10)
    unstopped, _ = train(tmp_path / "c", tokenizer, watched, steps=20, sign=-1.0)
    assert unstopped.state.global_step == 20


def test_the_last_step_is_evaluated_though_it_is_no_multiple(tmp_path, tokenizer, benchmark):
    evaluation = TrainerEvaluation(benchmark, every=2, limit=4)
    train(tmp_path, tokenizer, evaluation, steps=3)
    assert list(evaluation.results) == [0, 2, 3]


RANKS = """
import json, sys
from pathlib import Path
from test_integrations import TrainerEvaluation, load_own, train
from transformers import AutoTokenizer

folder, data = Path(sys.argv[1]), sys.argv[2]
tokenizer = AutoTokenizer.from_pretrained(folder)
evaluation = TrainerEvaluation(load_own(data), every=2, limit=20, stop_if_worse=True)
shared = {"tokenizer": tokenizer, "evaluation": evaluation, "ddp_backend": "gloo", "rate": 0.05}
trainer, _ = train(folder / "out", steps=4, **shared)  # 4 is one that on_train_end finds done
told = {"steps": trainer.state.global_step, "evaluated": list(evaluation.results)}
worse = TrainerEvaluation(load_own(data), every=2, limit=20, stop_if_worse=True)
worse.results.update({-1: evaluation.results[4]} if evaluation.results else {})
trainer, _ = train(folder / "out", steps=40, sign=-1.0, **{**shared, "evaluation": worse})
told["stopped"] = trainer.state.global_step
(folder / f"rank{trainer.args.process_index}.json").write_text(json.dumps(told))
"""


def test_of_two_ranks_the_first_evaluates_and_both_stop(tmp_path, tokenizer, pairs):
    tokenizer.save_pretrained(tmp_path)
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    places = [str(Path(__file__).parent), str(Path(rmeval.__file__).parents[1])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
    ran = subprocess.run(
        [*launch, str(script), str(tmp_path), str(pairs)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0]["evaluated"] == [0, 2, 4]
    assert told[1]["evaluated"] == []
    assert told[0]["stopped"] == told[1]["stopped"] < 40


def test_what_does_not_go_together_is_refused(tokenizer, benchmark, tmp_path):
    with pytest.raises(BadOption, match="every=0"):
        TrainerEvaluation(benchmark, every=0)
    with pytest.raises(BadOption, match="per='row'; it is one of"):
        TrainerEvaluation(benchmark, every=1, per="row")
    with pytest.raises(BadOption, match="a callback of transformers' Trainer"):
        TrainerEvaluation(benchmark, every=1).on_train_begin(None, None, None)
    trainer = Trainer(
        model=LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS)),
        args=arguments(tmp_path, 1),
        train_dataset=list(rows(tokenizer, 1.0)),
        processing_class=tokenizer,
        callbacks=[TrainerEvaluation(benchmark, every=1)],
    )
    with pytest.raises(BadOption, match="this one has neither"):
        trainer.train()


def preferences():
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": f"Say {n}"}],
                "chosen": [{"role": "assistant", "content": "yes " * (2 + n % 5)}],
                "rejected": [{"role": "assistant", "content": "no"}],
            }
            for n in range(32)
        ]
    )


@pytest.mark.filterwarnings("ignore")  # those of another library's training
def test_trls_reward_trainer(tmp_path, tokenizer, benchmark):
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    evaluation, heard = TrainerEvaluation(benchmark, every=4), Heard()
    options = {"learning_rate": 3e-3, "bf16": False, "max_length": 256}
    trainer = trl.RewardTrainer(
        model=classifier(),
        args=arguments(tmp_path, 12, trl.RewardConfig, **options),
        train_dataset=preferences(),
        processing_class=tokenizer,
        callbacks=[evaluation, heard],
    )
    trainer.train()
    scores = [result.overall for result in evaluation.results.values()]
    assert list(evaluation.results) == [0, 4, 8, 12]
    assert scores[-1] > 0.9
    assert [step for step, logs in heard.logs if "rmeval/Score" in logs] == [0, 4, 8, 12]
    assert sum("loss" in logs for _, logs in heard.logs) == 6
    trainer.save_model(str(tmp_path / "saved"))
    tokenizer.save_pretrained(tmp_path / "saved")
    folder = rmeval.evaluate(rmeval.load_model(tmp_path / "saved", device="cpu"), benchmark)
    assert folder.overall == scores[-1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("adapters", [False, True])
def test_trls_dpo_trainer(tmp_path, tokenizer, benchmark, adapters):
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    torch.manual_seed(0)
    policy = LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS, bos_token_id=1, eos_token_id=2))
    policy.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    lora = None
    if adapters:
        peft = pytest.importorskip("peft", reason="peft is not installed")
        lora = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=32)
    evaluation = TrainerEvaluation(benchmark, every=6)
    trainer = trl.DPOTrainer(
        model=str(tmp_path / "base"),
        args=arguments(tmp_path, 12, trl.DPOConfig, learning_rate=1e-2, bf16=False),
        train_dataset=preferences(),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[evaluation],
    )
    trainer.train()
    first, *_, last = evaluation.results.values()
    assert first.overall == 0  # policy and reference are one: all rewards are 0
    assert last.overall > 0.9
    assert {score.value for row in first.scored for score in row.scores} == {0.0}
    if not adapters:
        trainer.save_model(str(tmp_path / "saved"))
        tokenizer.save_pretrained(Path(tmp_path / "saved"))
        folders = rmeval.load_model(tmp_path / "saved", reference=tmp_path / "base", device="cpu")
        assert rmeval.evaluate(folders, benchmark).overall == last.overall


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_goes_on_from_an_adapter_is_held_to_that_adapter(
    tmp_path, tokenizer, benchmark
):
    """TRL's DPOTrainer keeps it as the adapter "ref": the base alone is not where it began."""
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    peft = pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS, bos_token_id=1, eos_token_id=2))
    base.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False)
    begun = peft.get_peft_model(LlamaForCausalLM.from_pretrained(tmp_path / "base"), lora)
    flags = [weight.requires_grad for weight in begun.parameters()]
    evaluation = TrainerEvaluation(benchmark, every=6)
    trainer = trl.DPOTrainer(
        model=begun,
        args=arguments(tmp_path / "out", 6, trl.DPOConfig, learning_rate=1e-2, bf16=False),
        train_dataset=preferences(),
        processing_class=tokenizer,
        callbacks=[evaluation],
    )
    trainer.train()
    first, last = evaluation.results.values()
    assert {score.value for row in first.scored for score in row.scores} == {0.0}
    assert last.overall > 0.9
    assert trainer.model.active_adapter == "default"
    kept = [w.requires_grad for name, w in trainer.model.named_parameters() if ".ref." not in name]
    assert kept == flags
    trainer.save_model(str(tmp_path / "out"))
    folder, named = tmp_path / "out", {"base": tmp_path / "base", "device": "cpu"}
    model = rmeval.load_model(folder, reference=folder / "ref", **named)
    saved = [
        score.value for row in rmeval.evaluate(model, benchmark).scored for score in row.scores
    ]
    live = [score.value for row in last.scored for score in row.scores]
    assert saved == pytest.approx(live, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("saved", [["score"], None], ids=["with its head", "without"])
def test_trls_reward_trainer_with_lora_is_read_from_its_folders(tmp_path, tokenizer, saved):
    """A LoraConfig without a task, as TRL's documents show it, keeps the head only if asked."""
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    peft = pytest.importorskip("peft", reason="peft is not installed")
    base = LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS, bos_token_id=1, eos_token_id=2))
    base.to(torch.bfloat16).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    options = {"learning_rate": 1e-2, "bf16": False, "model_init_kwargs": {"dtype": "float32"}}
    trainer = trl.RewardTrainer(
        model=str(tmp_path / "base"),
        args=arguments(
            tmp_path / "run", 4, trl.RewardConfig, save_strategy="steps", save_steps=2, **options
        ),
        train_dataset=preferences(),
        peft_config=peft.LoraConfig(r=4, lora_alpha=16, modules_to_save=saved),
    )
    trainer.train()
    last = tmp_path / "run" / "checkpoint-4"
    if saved is None:
        with pytest.raises(BadCheckpoint, match=r"the head that was trained \(score\) is not in"):
            rmeval.load_model(last, reference=tmp_path / "base", device="cpu")
        return
    talks = [row["prompt"] + row["chosen"] for row in preferences()]
    model = trainer.model.eval()  # PEFT's own, unmerged, on the ids that transformers makes
    rewards = []
    for talk in talks:
        ids = tokenizer.apply_chat_template(talk, tokenize=True, return_dict=False)
        with torch.inference_mode():
            rewards.append(float(model(input_ids=torch.tensor([ids])).logits))
    assert rmeval.load_model(last, device="cpu").score(talks) == pytest.approx(rewards, abs=5e-5)
    with pytest.raises(BadCheckpoint, match=r"adapters in its folders \(checkpoint-2, checkpoint-"):
        rmeval.load_model(tmp_path / "run", device="cpu")
