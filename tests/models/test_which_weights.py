"""Which file a weight is taken from is never guessed: an index, transformers' choice, or none."""

import json
import shutil
from fnmatch import fnmatch
from types import SimpleNamespace

import pytest
import torch
from checkpoints import (
    copy_golden,
    edit_config,
    golden_cases,
    load_golden,
    read_tensors,
    split_in_two,
    write_tensors,
)
from conftest import GOLDEN
from safetensors.torch import load_file, save_file
from transformers import LlamaForSequenceClassification

import rmeval
from rmeval.errors import BadCheckpoint, Unreachable
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.doctor.examination import check_files, check_weights

IDS = golden_cases(GOLDEN / "seqcls")[0][:4]
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
NAME = "some-lab/tiny-reward"


@pytest.fixture
def folder(tmp_path):
    return copy_golden("seqcls", tmp_path / "model")


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


def right():
    return pytest.approx(load_golden("seqcls").score_tokens(IDS), abs=1e-5, rel=0)


def refusal(folder, **options):
    with pytest.raises(BadCheckpoint) as error:
        load(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def edit_index(folder, name=INDEX, remove=(), **entries):
    index = json.loads((folder / name).read_text())
    index["weight_map"] = {k: v for k, v in index["weight_map"].items() if k not in remove}
    index["weight_map"] |= entries
    (folder / name).write_text(json.dumps(index))


def other_head(folder, file):
    """Writes another head than the checkpoint's into a file of its own."""
    head = read_tensors(GOLDEN / "seqcls")["score.weight"]
    save_file({"score.weight": -head}, folder / file)


def test_a_copy_in_another_file_is_not_what_the_index_names(folder):
    split_in_two(folder)
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    for file in (FIRST, SECOND):
        wrong = {k: -torch.ones_like(t) for k, t in read_tensors(GOLDEN / "seqcls").items()}
        mine = {k: t for k, t in load_file(folder / file).items() if weight_map[k] == file}
        save_file({**wrong, **mine}, folder / file)
    assert load(folder).score_tokens(IDS) == right()


def test_an_index_that_names_another_file_than_the_one_that_holds_it_is_refused(folder):
    split_in_two(folder)
    held = next(iter(load_file(folder / FIRST)))
    edit_index(folder, **{held: SECOND})
    assert f"the index says that {held} is in {SECOND}, which lacks it" in refusal(folder)


def test_a_weight_that_the_index_does_not_name_is_named(folder):
    split_in_two(folder)
    edit_index(folder, remove=("score.weight",))
    assert "holds score.weight, which the index does not name" in refusal(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", 3])
def test_an_index_names_files_of_its_own_folder(folder, name):
    split_in_two(folder)
    edit_index(folder, **{"score.weight": name})
    assert "is not the name of a file in this folder" in refusal(folder)


def test_one_file_and_the_index_of_an_earlier_save_are_refused(folder):
    shutil.copy(folder / "model.safetensors", folder / "new")
    split_in_two(folder)
    (folder / "new").rename(folder / "model.safetensors")
    message = refusal(folder)
    assert f"model.safetensors and {INDEX} are both here" in message
    assert f"delete {INDEX}" in message
    (folder / INDEX).unlink()
    assert load(folder).score_tokens(IDS) == right()


def test_an_index_of_the_one_file_is_no_contradiction(folder):
    weight_map = dict.fromkeys(read_tensors(folder), "model.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    assert load(folder).score_tokens(IDS) == right()


@pytest.mark.parametrize(
    "name", ["model_backup.safetensors", "model-ema.safetensors", "a.safetensors", SECOND]
)
def test_what_lies_beside_the_one_file_is_not_read_and_is_named(folder, name):
    before = open_checkpoint(str(folder)).fingerprint()
    other_head(folder, name)
    model = load(folder)
    assert model.score_tokens(IDS) == right()
    own = LlamaForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    logits = own(torch.tensor([IDS[0]])).logits  # read as transformers reads the folder
    assert model.score_tokens(IDS[:1]) == pytest.approx([logits.item()], abs=1e-5)
    assert model.family.checkpoint.unclaimed == (folder / name,)
    assert model.fingerprint == before
    check = check_files(model)
    assert check.status == "warn"
    assert name in check.finding


def test_with_nothing_beside_it_the_doctor_has_no_warning(folder):
    assert check_weights(load(folder)).status == "pass"


def test_files_beside_those_of_an_index_are_named(folder):
    split_in_two(folder)
    other_head(folder, "model_backup.safetensors")
    checkpoint = open_checkpoint(str(folder))
    assert [file.name for file in checkpoint.unclaimed] == ["model_backup.safetensors"]


def test_numbered_files_need_no_index(folder):
    split_in_two(folder)
    before = open_checkpoint(str(folder)).fingerprint()
    (folder / INDEX).unlink()
    assert load(folder).score_tokens(IDS) == right()
    assert open_checkpoint(str(folder)).fingerprint() == before


def test_without_an_index_a_missing_file_is_counted(folder):
    split_in_two(folder)
    (folder / INDEX).unlink()
    (folder / SECOND).unlink()
    assert "of the numbered weight files 2 of 2 are missing" in refusal(folder)


def test_without_an_index_files_of_two_saves_are_refused(folder):
    split_in_two(folder)
    (folder / INDEX).unlink()
    other_head(folder, "model-00003-of-00003.safetensors")
    assert "of 2 saves" in refusal(folder)


def test_without_an_index_a_weight_in_two_files_is_refused(folder):
    split_in_two(folder)
    (folder / INDEX).unlink()
    held = load_file(folder / FIRST)
    key = next(iter(held))
    save_file({**load_file(folder / SECOND), key: held[key]}, folder / SECOND)
    assert f"{key} is in {FIRST} and {SECOND}" in refusal(folder)


def test_a_file_of_another_name_alone_is_no_weight_file(folder):
    (folder / "model.safetensors").rename(folder / "model_final.safetensors")
    assert "nothing says what model_final.safetensors is" in refusal(folder)


def pickle(folder, number=2, index=True):
    tensors = read_tensors(folder)
    (folder / "model.safetensors").unlink()
    names = [f"pytorch_model-0000{i + 1}-of-0000{number}.bin" for i in range(number)]
    weight_map = {key: names[i % number] for i, key in enumerate(tensors)}
    for name in names:
        torch.save({k: t for k, t in tensors.items() if weight_map[k] == name}, folder / name)
    if index:
        path = folder / "pytorch_model.bin.index.json"
        path.write_text(json.dumps({"weight_map": weight_map}))
    return names


def test_pickles_follow_the_same_rules(folder):
    tensors = read_tensors(folder)
    names = pickle(folder)
    assert load(folder, allow_pickle=True).score_tokens(IDS) == right()
    held = next(iter(torch.load(folder / names[0])))
    edit_index(folder, "pytorch_model.bin.index.json", **{held: names[1]})
    assert f"{held} is in {names[1]}" in refusal(folder, allow_pickle=True)
    torch.save(tensors, folder / "pytorch_model.bin")
    assert "are both here" in refusal(folder, allow_pickle=True)
    (folder / "pytorch_model.bin.index.json").unlink()
    torch.save({"score.weight": -tensors["score.weight"]}, folder / "pytorch_model_old.bin")
    model = load(folder, allow_pickle=True)
    assert model.score_tokens(IDS) == right()
    beside = [file.name for file in model.family.checkpoint.unclaimed]
    assert beside == [*names, "pytorch_model_old.bin"]


def test_numbered_pickles_need_no_index(folder):
    pickle(folder, index=False)
    assert load(folder, allow_pickle=True).score_tokens(IDS) == right()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_what_wrappers_put_before_names_is_taken_off(folder, prefix):
    """torch.compile and DistributedDataParallel, as a state dict saved from within them has it."""
    write_tensors(folder, {prefix + key: tensor for key, tensor in read_tensors(folder).items()})
    assert load(folder).score_tokens(IDS) == right()
    split_in_two(folder)
    assert load(folder).score_tokens(IDS) == right()


def test_a_name_that_wrappers_make_one_of_two_is_refused(folder):
    tensors = read_tensors(folder)
    write_tensors(folder, {**tensors, "module.score.weight": -tensors["score.weight"]})
    assert "score.weight is in model.safetensors and model.safetensors" in refusal(folder)


@pytest.mark.parametrize("key", ["model.layers.0.mlp.up_proj.weight", "score.weight"])
@pytest.mark.parametrize("stored", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn])
def test_weights_in_integers_are_called_quantised(folder, key, stored):
    tensors = read_tensors(folder)
    write_tensors(folder, {**tensors, key: tensors[key].to(stored)})
    assert f"{key} is quantised ({stored})" in refusal(folder)


@pytest.mark.parametrize("pad", [512, 4096, -1])
def test_a_pad_id_that_is_no_token_is_kept_from_the_backbone_alone(folder, pad):
    edit_config(folder, pad_token_id=pad)
    model = load(folder)
    assert model.score_tokens(IDS) == right()
    assert model.family.checkpoint.config["pad_token_id"] == pad
    assert model.network.config.pad_token_id is None


@pytest.mark.parametrize("field", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("value", ["auto", "int8"])
def test_a_dtype_that_is_none_is_refused_with_what_to_write(folder, field, value):
    edit_config(folder, remove=("dtype", "torch_dtype"), **{field: value})
    assert f"is {value!r}; set it to that of the weights: " in refusal(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub that keeps what it is asked for; its one repository is `tmp_path / "model"`."""
    source, asked = tmp_path / "model", []

    def snapshot_download(repository, repo_type, revision, allow_patterns, local_files_only):
        target = tmp_path / "snapshots" / ("b" * 40)
        target.mkdir(parents=True, exist_ok=True)
        for file in source.iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                asked.append(file.name)
                shutil.copy(file, target / file.name)
        return str(target)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return asked


def shapes_by_file(folder, *files):
    heads = {
        file: {k: SimpleNamespace(shape=list(t.shape)) for k, t in load_file(folder / file).items()}
        for file in files
    }
    return {file: SimpleNamespace(tensors=tensors) for file, tensors in heads.items()}


def test_of_a_model_on_the_hub_the_files_of_its_index_are_downloaded(folder, hub):
    split_in_two(folder)
    other_head(folder, "model_backup.safetensors")
    checkpoint = open_checkpoint(NAME)
    assert [file.name for file in checkpoint.shards] == [FIRST, SECOND]
    assert checkpoint.unclaimed == ()
    assert "model_backup.safetensors" not in hub


def test_an_index_beside_one_file_on_the_hub_is_refused_too(folder, hub, monkeypatch):
    """With the weights, and where only their shapes are asked for."""
    shutil.copy(folder / "model.safetensors", folder / "new")
    split_in_two(folder)
    (folder / "new").rename(folder / "model.safetensors")
    files = shapes_by_file(folder, "model.safetensors")
    found = SimpleNamespace(files_metadata=files)
    monkeypatch.setattr("huggingface_hub.get_safetensors_metadata", lambda *_, **__: found)
    with pytest.raises(BadCheckpoint, match="are both here"):
        open_checkpoint(NAME, weights=False)
    with pytest.raises(BadCheckpoint, match="are both here"):
        open_checkpoint(NAME)


def test_the_shapes_of_a_value_head_are_asked_for_too(tmp_path, hub, monkeypatch):
    folder = copy_golden("seqcls", tmp_path / "model")
    edit_config(folder, architectures=["LlamaForCausalLM"])
    head = {"v_head.summary.weight": torch.ones(1, 32), "v_head.summary.bias": torch.ones(1)}
    save_file(head, folder / "value_head.safetensors")
    found = SimpleNamespace(files_metadata=shapes_by_file(folder, "model.safetensors"))
    apart = shapes_by_file(folder, "value_head.safetensors")["value_head.safetensors"]
    monkeypatch.setattr("huggingface_hub.get_safetensors_metadata", lambda *_, **__: found)
    monkeypatch.setattr("huggingface_hub.parse_safetensors_file_metadata", lambda *_, **__: apart)
    shapes = open_checkpoint(NAME, weights=False).shapes
    assert shapes["v_head.summary.weight"] == (1, 32)
    assert shapes.keys() > read_tensors(folder).keys()
    checkpoint = open_checkpoint(NAME)
    assert checkpoint.shapes == shapes
    assert [file.name for file in checkpoint.shards] == [
        "model.safetensors",
        "value_head.safetensors",
    ]


def test_shapes_that_the_hubs_index_contradicts_are_refused(folder, hub, monkeypatch):
    split_in_two(folder)
    files = shapes_by_file(folder, FIRST, SECOND)
    files[FIRST].tensors["extra.weight"] = SimpleNamespace(shape=[1])
    found = SimpleNamespace(files_metadata=files)
    monkeypatch.setattr("huggingface_hub.get_safetensors_metadata", lambda *_, **__: found)
    with pytest.raises(BadCheckpoint, match=r"holds extra\.weight"):
        open_checkpoint(NAME, weights=False)


def test_an_adapter_on_the_hub_is_refused_before_anything_large_is_downloaded(folder, hub):
    (folder / "config.json").unlink()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    about = {"peft_type": "IA3", "base_model_name_or_path": "some-lab/base"}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    with pytest.raises(BadCheckpoint, match="an IA3 adapter of some-lab/base"):
        open_checkpoint(NAME)
    assert hub == ["adapter_config.json"]


def test_of_an_adapter_on_the_hub_its_own_files_are_downloaded(tmp_path, hub):
    folder = GOLDEN.parent / "golden_adapters" / "fresh-head"
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "adapter_model.bin").write_bytes(b"")
    base = folder.parent / "bases" / "llama-lm"
    model = rmeval.load_model(NAME, base=base, dtype="float32", device="cpu")
    told = json.loads((folder / "scores.json").read_text())["scores"]
    texts = json.loads((folder.parent / "texts.json").read_text())["input_ids"]
    assert model.score_tokens(texts) == pytest.approx(told, abs=5e-5)
    assert "adapter_model.bin" not in hub
    assert model.family.checkpoint.revision == "b" * 40


def test_a_repository_without_weights_says_so(folder, hub):
    (folder / "model.safetensors").unlink()
    with pytest.raises(Unreachable, match=r"has no model\*\.safetensors"):
        open_checkpoint(NAME)
