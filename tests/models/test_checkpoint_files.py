"""The same weights in other files: shards, half precision, pickles; and their fingerprint."""

import hashlib
import json
import shutil
import weakref

import pytest
import torch
from checkpoints import (
    copy_golden,
    golden_cases,
    load_golden,
    read_tensors,
    split_in_two,
    write_tensors,
)
from conftest import GOLDEN

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints import checkpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.checkpoints.weight_files import read_ahead

IDS = golden_cases(GOLDEN / "internlm2")[0][:8]
LAYOUTS = ["internlm2", "grm-mlp", "inform", "seqcls"]


@pytest.fixture
def folder(tmp_path):
    return copy_golden("internlm2", tmp_path / "model")


def scores(folder, **options):
    model = rmeval.load_model(str(folder), device="cpu", **{"dtype": "float32", **options})
    return model.score_tokens(IDS)


def pickle_weights(folder):
    torch.save(read_tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def fingerprint(folder, **options):
    return open_checkpoint(str(folder), **options).fingerprint()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_in_two_files_scores_as_in_one(tmp_path, layout):
    folder = copy_golden(layout, tmp_path)
    split_in_two(folder)
    assert len(open_checkpoint(str(folder)).shards) == 2
    expected = load_golden(layout).score_tokens(IDS)
    assert scores(folder) == pytest.approx(expected, abs=1e-5, rel=0)


def test_files_that_the_index_does_not_name_are_not_read(folder):
    split_in_two(folder)
    (folder / "model-00003-of-00002.safetensors").write_bytes(b"a rest of another download")
    assert scores(folder) == pytest.approx(load_golden("internlm2").score_tokens(IDS), abs=1e-5)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_weights_stored_in_half_precision_are_computed_in_float32(folder, stored):
    rounded = {key: tensor.to(stored) for key, tensor in read_tensors(folder).items()}
    write_tensors(folder, rounded)
    in_half = scores(folder)
    write_tensors(folder, {key: tensor.float() for key, tensor in rounded.items()})
    assert in_half == pytest.approx(scores(folder), abs=1e-5, rel=0)


def test_a_cpu_computes_in_float32_unless_told_otherwise(folder):
    model = rmeval.load_model(str(folder), device="cpu")  # its config says float16
    assert model.dtype == torch.float32
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


def test_a_pickle_is_refused_until_it_is_trusted(folder):
    pickle_weights(folder)
    with pytest.raises(
        BadCheckpoint, match=r"\(pytorch_model\.bin\) only in pickle format.*`allow_pickle=True`"
    ):
        rmeval.load_model(str(folder), device="cpu")
    expected = load_golden("internlm2").score_tokens(IDS)
    assert scores(folder, allow_pickle=True) == pytest.approx(expected, abs=1e-5, rel=0)


def test_pickles_in_two_files_score_as_one(folder):
    tensors = read_tensors(folder)
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number, key in enumerate(tensors):
        weight_map[key] = f"pytorch_model-0000{number % 2 + 1}-of-00002.bin"
    for name in set(weight_map.values()):
        torch.save({k: t for k, t in tensors.items() if weight_map[k] == name}, folder / name)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    expected = load_golden("internlm2").score_tokens(IDS)
    assert scores(folder, allow_pickle=True) == pytest.approx(expected, abs=1e-5, rel=0)


def test_an_old_pickle_that_is_no_zip_archive_loads_too(folder):
    tensors = read_tensors(folder)
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.save(tensors, file, _use_new_zipfile_serialization=False)
    expected = load_golden("internlm2").score_tokens(IDS)
    assert scores(folder, allow_pickle=True) == pytest.approx(expected, abs=1e-5, rel=0)


def test_safetensors_win_over_a_pickle_beside_them(folder):
    torch.save({"nothing": torch.ones(1)}, folder / "pytorch_model.bin")
    assert scores(folder) == pytest.approx(load_golden("internlm2").score_tokens(IDS), abs=1e-5)


RAN = []


class Unpickled:
    """What runs code when it is unpickled; trust is for tensors, never for this."""

    def __reduce__(self):
        return (RAN.append, ("ran",))


@pytest.mark.parametrize("content", ["code", "a wrapper", "nothing", "a list"])
def test_a_trusted_pickle_may_hold_tensors_and_nothing_else(folder, content):
    (folder / "model.safetensors").unlink()
    state = {"code": {"a": Unpickled()}, "a wrapper": {"state": {}}, "a list": [torch.ones(1)]}
    if content == "nothing":
        (folder / "pytorch_model.bin").write_bytes(b"")
    else:
        torch.save(state[content], folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="a weight file is unreadable") as error:
        rmeval.load_model(str(folder), device="cpu", allow_pickle=True)
    assert "\n" not in str(error.value)
    assert RAN == []


def test_the_same_files_elsewhere_have_the_same_fingerprint(folder, tmp_path):
    assert fingerprint(folder) == fingerprint(GOLDEN / "internlm2")
    shutil.copytree(folder, tmp_path / "another-name")
    assert fingerprint(tmp_path / "another-name") == fingerprint(folder)


@pytest.mark.parametrize("key", ["v_head.weight", "model.layers.1.attention.wqkv.weight"])
def test_one_changed_number_changes_the_fingerprint(folder, key):
    before = fingerprint(folder)
    tensors = read_tensors(folder)
    tensors[key].view(-1)[3] += 1e-3
    write_tensors(folder, tensors)
    assert fingerprint(folder) != before


def test_a_changed_config_changes_the_fingerprint(folder):
    before = fingerprint(folder)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("1000000", "1000001"))
    assert fingerprint(folder) != before


def test_the_second_of_two_files_counts_for_the_fingerprint(folder):
    split_in_two(folder)
    before = fingerprint(folder)
    second = folder / "model-00002-of-00002.safetensors"
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(content)
    assert fingerprint(folder) != before


def test_the_hubs_cache_gives_the_fingerprint_of_the_plain_folder(folder, tmp_path):
    """There a large file is a link to `blobs/<its sha256>`, and need not be read again."""
    snapshot, blobs = tmp_path / "cache" / "snapshots" / "c0ffee", tmp_path / "cache" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    weights = (folder / "model.safetensors").read_bytes()
    for name, blob in (
        ("model.safetensors", hashlib.sha256(weights).hexdigest()),
        ("config.json", "0" * 40),  # small files are named by git, not by sha256
    ):
        shutil.copy(folder / name, blobs / blob)
        (snapshot / name).symlink_to(blobs / blob)
    expected = fingerprint(folder)
    assert fingerprint(snapshot) == expected
    (blobs / hashlib.sha256(weights).hexdigest()).write_bytes(weights + b" ")
    assert open_checkpoint_fingerprint_reads_no_weights(snapshot) == expected


def open_checkpoint_fingerprint_reads_no_weights(snapshot):
    file = snapshot / "model.safetensors"
    return Checkpoint("x", snapshot, None, {}, {}, (file,)).fingerprint()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_loading_holds_one_tensor_of_the_checkpoint_at_a_time(tmp_path, monkeypatch, layout):
    folder = copy_golden(layout, tmp_path)
    write_tensors(folder, {key: tensor.half() for key, tensor in read_tensors(folder).items()})
    plain, born, most = Checkpoint.tensors, [], [0]

    def watched(checkpoint, names=None):
        for key, tensor in plain(checkpoint, names):
            born.append(weakref.ref(tensor))
            most[0] = max(most[0], sum(ref() is not None for ref in born))
            yield key, tensor

    monkeypatch.setattr(Checkpoint, "tensors", watched)
    network = rmeval.load_model(str(folder), dtype="float32", device="cpu").network
    assert len(born) == len(read_tensors(folder))
    assert most[0] <= 2  # the one that was placed, until the next one takes its name
    for parameter in network.parameters():  # none drags a larger storage along
        assert parameter.untyped_storage().nbytes() == parameter.numel() * 4


def test_the_next_file_is_asked_for_while_one_is_read(folder, monkeypatch):
    """A mapped file comes page by page; the system is told of each but the first."""
    split_in_two(folder)
    told = []
    monkeypatch.setattr(checkpoint, "read_ahead", told.append)
    opened = open_checkpoint(str(folder))
    assert {name for name, _ in opened.tensors()} == set(opened.shapes)
    assert told == list(opened.shards[1:])


def test_a_file_that_is_read_ahead_stays_what_it_is(folder):
    before = (folder / "model.safetensors").read_bytes()
    read_ahead(folder / "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == before
