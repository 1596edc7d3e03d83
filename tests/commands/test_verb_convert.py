"""`rmeval convert`: what transformers' own class makes of the folder is the model's reward."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import copy_golden, edit_config, golden_cases, read_tensors, write_tensors
from conftest import GOLDEN
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

import rmeval
from rmeval.cli import main

TEXTS = Path(__file__).parents[1] / "golden_text"
ADAPTERS = Path(__file__).parents[1] / "golden_adapters"


def convert(model: Path, output: Path, form: str, *options: str) -> int:
    return main(["convert", "--model", str(model), "--as", form, "--output", str(output), *options])


@torch.inference_mode()
def rewards(folder: Path, rows: list[list[int]]) -> list[float]:
    """Transformers' own, of sequences that nothing but transformers has read."""
    model, report = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[found] for found in ("missing_keys", "unexpected_keys"))
    given = [(torch.tensor([ids]), torch.ones(1, len(ids))) for ids in rows]
    return [float(model(input_ids=ids, attention_mask=mask).logits) for ids, mask in given]


def near(expected: list[float]) -> Any:
    return pytest.approx(expected, abs=5e-5, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["internlm2", "ultrarm", "beaver-cost", "starling", "nemotron", "seqcls"]
)
def test_a_linear_heads_rewards_are_those_of_transformers_class(name: str, tmp_path: Path) -> None:
    ids, scores = golden_cases(GOLDEN / name)
    assert convert(GOLDEN / name, tmp_path / "plain", "classifier") == 0
    assert rewards(tmp_path / "plain", ids) == near(scores)
    model = rmeval.load_model(tmp_path / "plain", dtype="float32", device="cpu")
    assert model.family.name == "classifier"
    assert model.score_tokens(ids) == near(scores)
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert config["problem_type"] == "regression"


def test_what_a_head_adds_is_left_out_only_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids, scores = golden_cases(GOLDEN / "grm-linear")
    bias = float(read_tensors(GOLDEN / "grm-linear")["v_head.summary.bias"])
    assert convert(GOLDEN / "grm-linear", tmp_path / "plain", "classifier") == 2
    assert f"its head adds {bias:g} to every reward" in capsys.readouterr().err
    assert convert(GOLDEN / "grm-linear", tmp_path / "plain", "classifier", "--drop-bias") == 0
    assert f"without the {bias:g} that its head adds" in capsys.readouterr().out
    assert rewards(tmp_path / "plain", ids) == near([score - bias for score in scores])
    plain = rmeval.load_model(tmp_path / "plain", device="cpu")
    assert plain.family.name == "classifier"


def test_both_versions_of_transformers_find_the_angles(tmp_path: Path) -> None:
    """Version 4 reads rope_theta, and takes 10,000 where it is missing, without a word."""
    assert convert(GOLDEN / "internlm2", tmp_path / "plain", "classifier") == 0
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    theta = json.loads((GOLDEN / "internlm2" / "config.json").read_text())["rope_theta"]
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == theta != 10_000


@pytest.mark.parametrize("name", ["grm-mlp", "inform"])
def test_a_deep_head_is_no_classifiers(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(GOLDEN / name, tmp_path / "plain", "classifier") == 2
    assert "is not a single matrix; use --as backbone" in capsys.readouterr().err
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("name", ["grm-mlp", "inform", "internlm2"])
def test_a_backbone_gives_the_states_that_the_head_reads(name: str, tmp_path: Path) -> None:
    ids, scores = golden_cases(GOLDEN / name)
    assert convert(GOLDEN / name, tmp_path / "body", "backbone") == 0
    body, report = AutoModel.from_pretrained(
        tmp_path / "body", dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[found] for found in ("missing_keys", "unexpected_keys"))
    model = rmeval.load_model(GOLDEN / name, dtype="float32", device="cpu")
    assert model.network.head is not None
    with torch.inference_mode():
        states = [body(torch.tensor([row])).last_hidden_state[0, -1:] for row in ids]
        assert [float(model.network.head(state)) for state in states] == near(scores)


@pytest.mark.parametrize("name", ["classifier", "fresh-head", "dora", "rslora", "gpt2", "bert"])
def test_an_adapter_becomes_one_model_with_its_base(name: str, tmp_path: Path) -> None:
    told = json.loads((ADAPTERS / name / "scores.json").read_text())
    ids = json.loads((ADAPTERS / "texts.json").read_text())["input_ids"]
    assert convert(ADAPTERS / name, tmp_path / "plain", "classifier") == 0
    assert rewards(tmp_path / "plain", ids) == near(told["scores"])


def test_weights_are_in_the_dtype_that_is_asked_for(tmp_path: Path) -> None:
    assert convert(GOLDEN / "ultrarm", tmp_path / "p", "classifier", "--dtype", "bfloat16") == 0
    assert {tensor.dtype for tensor in read_tensors(tmp_path / "p").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "p" / "config.json").read_text())["dtype"] == "bfloat16"


def test_large_weights_are_in_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmeval.models.checkpoints.converting.FILE_BYTES", 20_000)
    ids, scores = golden_cases(GOLDEN / "ultrarm")
    assert convert(GOLDEN / "ultrarm", tmp_path / "plain", "classifier") == 0
    files = sorted(file.name for file in (tmp_path / "plain").glob("model*"))
    assert len(files) > 3
    assert files[-1] == "model.safetensors.index.json"
    assert rewards(tmp_path / "plain", ids) == near(scores)


def test_beavers_normaliser_is_part_of_the_matrix_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cost is scaled, which a matrix can say; a reward is shifted too, which it cannot."""
    folder = copy_golden("beaver-cost", tmp_path / "model")
    tensors = read_tensors(folder)
    normaliser = {"mean": torch.tensor([1.5]), "var": torch.tensor([4.0])}
    more = {f"normalizer.{name}": value for name, value in normaliser.items()}
    write_tensors(folder, {**tensors, **more, "normalizer.count": torch.tensor([9])})
    edit_config(folder, do_normalize=True)
    ids, scores = golden_cases(GOLDEN / "beaver-cost")
    assert convert(folder, tmp_path / "plain", "classifier") == 0
    assert rewards(tmp_path / "plain", ids) == near([score / 2 for score in scores])
    edit_config(folder, score_type="reward")
    assert convert(folder, tmp_path / "other", "classifier") == 2
    assert "its head adds" in capsys.readouterr().err


NO_MATRIX = {"grm-sftreg", "inf-orm", "urm", "pair-pm", "pairrm"}
READABLE = {file.parent.name for file in TEXTS.glob("*/config.json")} - NO_MATRIX - {"dpo"}


@pytest.mark.parametrize("name", sorted(READABLE))
def test_the_folders_own_template_gives_the_models_own_ids(name: str, tmp_path: Path) -> None:
    assert convert(TEXTS / name, tmp_path / "plain", "classifier", "--drop-bias") == 0
    model = rmeval.load_model(TEXTS / name, dtype="float32", device="cpu", checks=False)
    lines = (TEXTS / name / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    talks = [case["messages"] for case in cases][:5]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    ids = [tokenizer.apply_chat_template(talk, return_dict=False) for talk in talks]
    assert ids == [model.encode(talk) for talk in talks]
    bias = json.loads((tmp_path / "plain" / "convert.json").read_text())["converted"]
    expected = [score - bias["bias_left_out"] for score in model.score(talks)]
    assert rewards(tmp_path / "plain", ids) == near(expected)


def test_only_an_empty_folder_is_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert convert(GOLDEN / "ultrarm", tmp_path, "classifier") == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["policy", "value-head"])
def test_an_adapter_without_a_reward_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(ADAPTERS / name, tmp_path / "plain", "classifier") == 2
    err = capsys.readouterr().err
    assert ("no model adapter" if name == "policy" else "its head adds") in err
