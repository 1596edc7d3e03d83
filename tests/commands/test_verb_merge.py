"""`rmeval merge`: two checkpoints of one architecture, averaged tensor by tensor."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from checkpoints import (
    copy_golden,
    edit_config,
    read_tensors,
    split_in_two,
    write_tensors,
)
from command_line import Capture, done, refusal, small_model
from conftest import DEMO_MODEL
from safetensors.torch import load_file

import rmeval
from rmeval.models.checkpoints import merging

INDEX = "model.safetensors.index.json"
KEY = "model.norm.weight"


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return copy_golden("seqcls", tmp_path / "a")


@pytest.fixture
def b(tmp_path: Path) -> Path:
    """The same layout with other weights."""
    folder = copy_golden("seqcls", tmp_path / "b")
    random = torch.Generator().manual_seed(1)
    noise = {k: torch.randn(t.shape, generator=random) for k, t in read_tensors(folder).items()}
    write_tensors(folder, {k: (t + noise[k]).to(t.dtype) for k, t in read_tensors(folder).items()})
    return folder


def all_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a folder, from where its index says."""
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    return {key: load_file(folder / file)[key] for key, file in weight_map.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_every_tensor_is_the_mean_in_float32_and_keeps_its_dtype(
    dtype: torch.dtype, a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    for folder in (a, b):
        write_tensors(folder, {k: t.to(dtype) for k, t in read_tensors(folder).items()})
    done(capsys, "merge", a, b, "--weight", "0.25", "--output", tmp_path / "m")
    ours, theirs, merged = read_tensors(a), read_tensors(b), all_tensors(tmp_path / "m")
    assert merged.keys() == ours.keys()
    for key, tensor in merged.items():
        exact = torch.promote_types(dtype, torch.float32)
        expected = (0.25 * ours[key].to(exact) + 0.75 * theirs[key].to(exact)).to(dtype)
        assert tensor.dtype == dtype
        assert torch.equal(tensor, expected), key
    assert not torch.equal(merged[KEY], ours[KEY])


def test_without_a_weight_both_count_alike_and_the_merge_can_be_scored(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, err = done(capsys, "merge", a, b, "--output", tmp_path / "m")
    assert (out.count("0.5 x "), err) == (2, "")
    half = (read_tensors(a)[KEY] + read_tensors(b)[KEY]) / 2
    assert torch.equal(all_tensors(tmp_path / "m")[KEY], half)
    model = rmeval.load_model(str(tmp_path / "m"), device="cpu")
    assert model.score_tokens([[1, 2, 3]]) != rmeval.load_model(str(a)).score_tokens([[1, 2, 3]])


def test_a_model_merged_with_itself_is_itself(tmp_path: Path, b: Path, capsys: Capture) -> None:
    done(capsys, "merge", b, b, "--output", tmp_path / "m")
    for key, tensor in all_tensors(tmp_path / "m").items():
        assert torch.equal(tensor, read_tensors(b)[key])


def test_weight_files_are_those_of_the_first_and_are_written_one_by_one(
    a: Path, b: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {key: (t + read_tensors(b)[key]) / 2 for key, t in read_tensors(a).items()}
    split_in_two(a)
    held: list[set[str]] = []
    save = merging.save_file

    def watched(tensors: dict[str, torch.Tensor], *rest: object, **options: object) -> None:
        held.append(set(tensors))
        save(tensors, *rest, **options)

    monkeypatch.setattr(merging, "save_file", watched)
    done(capsys, "merge", a, b, "--output", tmp_path / "m")
    files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert held == [set(load_file(a / file)) for file in files]
    merged = all_tensors(tmp_path / "m")
    assert all(torch.equal(merged[key], tensor) for key, tensor in expected.items())
    index = json.loads((tmp_path / "m" / INDEX).read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in merged.values())


def test_tokenizer_config_and_a_record_of_the_merge_stand_beside_the_weights(
    tmp_path: Path, capsys: Capture
) -> None:
    one, two = small_model(tmp_path / "one", reward=1.0), small_model(tmp_path / "two", reward=2.0)
    done(capsys, "merge", one, two, "--weight", "0.75", "--output", tmp_path / "m")
    for name in ("config.json", "tokenizer.model", "tokenizer_config.json"):
        assert (tmp_path / "m" / name).read_bytes() == (one / name).read_bytes()
    record = json.loads((tmp_path / "m" / "merge.json").read_text())["merged"]
    assert [(m["name"], m["weight"]) for m in record] == [(str(one), 0.75), (str(two), 0.25)]
    assert all(len(member["fingerprint"]) == 64 for member in record)
    chat = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    assert len(rmeval.load_model(str(tmp_path / "m")).score([chat])) == 1


def test_names_and_the_old_name_of_dtype_are_no_difference(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    edit_config(a, ("dtype", "torch_dtype"), torch_dtype="float32", _name_or_path="x")
    edit_config(b, ("dtype", "torch_dtype"), dtype="float32", transformers_version="9")
    done(capsys, "merge", a, b, "--output", tmp_path / "m")


def refused(capsys: Capture, a: Path, b: Path, tmp_path: Path) -> str:
    """What a merge is refused with; nothing is left in the output folder."""
    line = refusal(capsys, "merge", a, b, "--output", tmp_path / "m")
    assert not (tmp_path / "m").exists() or not list((tmp_path / "m").iterdir())
    return line


def change(folder: Path, key: str, tensor: torch.Tensor | None) -> None:
    kept = {k: t for k, t in read_tensors(folder).items() if k != key}
    write_tensors(folder, kept if tensor is None else {**kept, key: tensor})


def test_another_config_is_refused_by_its_field(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    edit_config(b, rope_theta=5.0)
    line = refused(capsys, a, b, tmp_path)
    assert line.startswith(f"cannot merge {a} and {b}: rope_theta in config.json is ")
    assert line.endswith(" and 5.0")
    assert not (tmp_path / "m").exists()


def test_other_shapes_and_missing_tensors_are_refused_by_name(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    size = len(read_tensors(a)[KEY])
    change(b, KEY, torch.zeros(size + 1))
    expected = f"the shape of {KEY} is ({size},) and ({size + 1},)"
    assert refused(capsys, a, b, tmp_path).endswith(expected)
    change(b, KEY, None)
    assert refused(capsys, a, b, tmp_path).endswith(f"{KEY} is ({size},) and not there")
    assert refused(capsys, b, a, tmp_path).endswith(f"{KEY} is not there and ({size},)")


def test_another_dtype_and_what_is_not_finite_are_refused(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    norm = read_tensors(b)[KEY]
    change(b, KEY, norm.to(torch.float64))
    assert f"the dtype of {KEY} is " in refused(capsys, a, b, tmp_path)
    change(b, KEY, norm.fill_(float("nan")))
    assert refused(capsys, a, b, tmp_path).startswith(f"{KEY} would not be finite")


def test_whole_numbers_are_kept_where_equal_and_refused_where_not(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    for folder in (a, b):
        change(folder, "steps", torch.tensor([7]))
    done(capsys, "merge", a, b, "--output", tmp_path / "equal")
    assert all_tensors(tmp_path / "equal")["steps"].tolist() == [7]
    change(b, "steps", torch.tensor([8]))
    assert refused(capsys, a, b, tmp_path).startswith("steps holds torch.int64")


def test_another_vocabulary_or_template_is_refused(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    for folder, word in ((a, "cat"), (b, "dog")):
        vocabulary = {"model": {"vocab": {word: 0}}, "padding": word}
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    assert refused(capsys, a, b, tmp_path).endswith("their vocabularies differ in tokenizer.json")
    (b / "tokenizer.json").unlink()
    assert refused(capsys, a, b, tmp_path).endswith("their vocabularies differ in tokenizer.json")
    same = {"model": {"vocab": {"cat": 0}}, "padding": "left"}
    (b / "tokenizer.json").write_text(json.dumps(same))
    (a / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    assert refused(capsys, a, b, tmp_path).endswith("their chat templates differ")
    (b / "chat_template.jinja").write_text("x")
    done(capsys, "merge", a, b, "--output", tmp_path / "m")


def test_a_folder_that_is_not_empty_stays_as_it_is(
    a: Path, b: Path, tmp_path: Path, capsys: Capture
) -> None:
    before = (b / "config.json").read_bytes()
    for output in (b, b / "config.json"):
        assert refusal(capsys, "merge", a, b, "--output", output).startswith(f"{output} is not")
    assert (b / "config.json").read_bytes() == before
    (tmp_path / "empty").mkdir()
    done(capsys, "merge", a, b, "--output", tmp_path / "empty")


@pytest.mark.parametrize("weight", ["2", "-0.1", "nan", "half"])
def test_a_weight_is_a_share(weight: str, tmp_path: Path, capsys: Capture) -> None:
    line = refusal(capsys, "merge", "a", "b", f"--weight={weight}", "--output", tmp_path / "m")
    assert line == f"argument --weight: {weight!r} is not a number from 0 to 1"


def test_a_full_disk_is_one_line(
    a: Path, b: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "save_file", full)
    line = refused(capsys, a, b, tmp_path)
    assert line.startswith(f"cannot write to {tmp_path / 'm'} (")
    assert "No space left" in line


def test_the_demo_of_rmeval_can_be_merged_by_its_name(tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(DEMO_MODEL, tmp_path / "copy")
    done(capsys, "merge", "demo", tmp_path / "copy", "--output", tmp_path / "m")
    own = load_file(DEMO_MODEL / "model.safetensors")
    assert all(torch.equal(own[k], t) for k, t in all_tensors(tmp_path / "m").items())
