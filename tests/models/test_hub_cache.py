"""Models by their name on the Hub: from the cache, without a network, at a recorded commit."""

import json
import shutil
import signal
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from checkpoints import copy_golden, golden_cases, load_golden, read_tensors
from conftest import GOLDEN

import rmeval
from rmeval.errors import BadCheckpoint, BadOption, Unreachable
from rmeval.models.checkpoints.checkpoint import open_checkpoint

NAME = "some-lab/tiny-reward"
OLD, NEW = "a" * 40, "b" * 40
IDS = golden_cases(GOLDEN / "internlm2")[0][:4]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A Hub cache in its own layout, with one repository at two commits; `main` is the newer."""
    root = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(root))
    repository = root / "models--some-lab--tiny-reward"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(NEW)
    (repository / "refs" / "v1").write_text(OLD)
    copy_golden("seqcls", repository / "snapshots" / OLD)
    copy_golden("internlm2", repository / "snapshots" / NEW)
    return repository


def load(**options):
    return rmeval.load_model(NAME, dtype="float32", device="cpu", **options)


def test_a_cached_model_loads_by_name_and_records_its_commit(cache):
    model = load()
    assert model.score_tokens(IDS) == load_golden("internlm2").score_tokens(IDS)
    assert model.family.checkpoint.revision == NEW
    assert model.fingerprint == load_golden("internlm2").fingerprint


@pytest.mark.parametrize("revision", [OLD, "v1"])
def test_a_revision_is_a_commit_a_branch_or_a_tag(cache, revision):
    model = load(revision=revision)
    assert model.family.name == "classifier"  # what the older commit held
    assert model.family.checkpoint.revision == OLD
    assert model.revision_asked == revision


def test_a_revision_that_is_not_cached_is_not_replaced_by_another(cache):
    with pytest.raises(Unreachable, match="cannot be reached"):
        load(revision="c" * 40)


def test_without_a_network_the_wanted_file_and_the_way_out_are_named(cache):
    with pytest.raises(Unreachable) as error:
        rmeval.load_model("some-lab/absent-reward", device="cpu")
    message = str(error.value)
    assert "config.json of model some-lab/absent-reward" in message
    assert "such as ./absent-reward" in message
    assert "\n" not in message


def test_a_name_like_a_known_one_is_offered_that(cache):
    with pytest.raises(Unreachable, match="did you mean 'internlm/internlm2-7b-reward'"):
        rmeval.load_model("internlm/internlm2-7b-rewards", device="cpu")


def test_a_name_that_the_hub_could_not_have_is_no_name(cache):
    with pytest.raises(BadOption, match="nor a Hub name"):
        rmeval.load_model("some lab/tiny--reward", device="cpu")


def test_a_config_without_cached_weights_is_not_called_unsafe(cache):
    """The weights may well be safetensors; without a network nobody has looked."""
    (cache / "snapshots" / NEW / "model.safetensors").unlink()
    with pytest.raises(Unreachable, match=r"\*\.safetensors") as error:
        load()
    assert "weights only in pickle format" not in str(error.value).replace(f" of {NAME}:", "")


def pickled(folder, *, index):
    torch.save(read_tensors(folder), folder / "pytorch_model.bin")
    weight_map = dict.fromkeys(read_tensors(folder), "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    if index:
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("index", [True, False], ids=["with an index", "in a single file"])
def test_a_pickled_model_is_refused_until_it_is_trusted(cache, index):
    pickled(cache / "snapshots" / NEW, index=index)
    with pytest.raises((BadCheckpoint, Unreachable), match="`allow_pickle=True`"):
        load()
    assert load(allow_pickle=True).score_tokens(IDS) == pytest.approx(
        load_golden("internlm2").score_tokens(IDS), abs=1e-5
    )


def fake_hub(folder, cache):
    """A snapshot_download that brings only what it is asked for, as the real one does."""

    def snapshot_download(repository, repo_type, revision, allow_patterns, local_files_only):
        target = Path(cache) / "snapshots" / NEW
        target.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, target / file.name)
        return str(target)

    return snapshot_download


def test_only_small_files_and_weights_are_downloaded(tmp_path, monkeypatch):
    source = copy_golden("internlm2", tmp_path / "source")
    for name in ("tokenizer.model", "README.md", "modeling.py", "training_args.bin"):
        (source / name).write_text("x")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake_hub(source, tmp_path / "c"))
    folder = open_checkpoint(NAME).folder
    found = sorted(file.name for file in folder.iterdir())
    assert found == ["config.json", "model.safetensors", "tokenizer.model"]


def test_with_both_kinds_of_weights_the_safe_ones_are_downloaded(tmp_path, monkeypatch):
    """Even where pickles are trusted, and each kind comes with an index."""
    source = copy_golden("internlm2", tmp_path / "source")
    tensors = read_tensors(source)
    torch.save(tensors, source / "pytorch_model.bin")
    for index, file in (
        ("model.safetensors.index.json", "model.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ):
        (source / index).write_text(json.dumps({"weight_map": dict.fromkeys(tensors, file)}))
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake_hub(source, tmp_path / "c"))
    shards = open_checkpoint(NAME, allow_pickle=True).shards
    assert [shard.name for shard in shards] == ["model.safetensors"]


def test_without_weights_only_their_shapes_are_asked_for(cache, monkeypatch):
    """A dry run of a large model must not download it."""
    tensors = read_tensors(cache / "snapshots" / NEW)
    (cache / "snapshots" / NEW / "model.safetensors").unlink()
    shapes = {key: SimpleNamespace(shape=list(tensor.shape)) for key, tensor in tensors.items()}
    files = {"model.safetensors": SimpleNamespace(tensors=shapes)}
    asked = []

    def metadata(name, revision):
        asked.append((name, revision))
        return SimpleNamespace(files_metadata=files)

    monkeypatch.setattr("huggingface_hub.get_safetensors_metadata", metadata)
    model = load(weights=False)
    assert asked == [(NAME, NEW)]
    assert model.family.name == "internlm2"
    assert model.family.checkpoint.shapes == {k: tuple(t.shape) for k, t in tensors.items()}


def test_without_weights_and_without_a_network_that_is_said(cache):
    (cache / "snapshots" / NEW / "model.safetensors").unlink()
    with pytest.raises(Unreachable, match="shapes of model"):
        load(weights=False)


def refusals(status):
    """What huggingface_hub raises for a status, as it does: what was tried first is the cause."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    response = SimpleNamespace(status_code=status, headers={}, request=None)
    error = HfHubHTTPError.__new__(HfHubHTTPError)
    OSError.__init__(error, f"{status} Error")
    error.response = response
    cached = LocalEntryNotFoundError("nothing is cached")
    cached.__cause__ = error
    return cached


def broken(kind):
    from huggingface_hub.errors import HTTPError

    return type(kind, (HTTPError,), {})("peer closed connection")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: refusals(401), "refuses access (401): `hf auth login`"),
        (lambda: refusals(403), "refuses access (403): `hf auth login`"),
        (lambda: refusals(429), "too many requests (429): wait"),
        (lambda: refusals(500), "the Hub fails at the moment (500): try again later"),
        (lambda: refusals(503), "the Hub fails at the moment (503): try again later"),
        (lambda: refusals(418), "the Hub answers 418"),
        (lambda: broken("RemoteProtocolError"), "the connection to the Hub was lost"),
        (lambda: broken("ConnectError"), "the Hub cannot be reached"),
        (lambda: ConnectionError("no route"), "the Hub cannot be reached"),
        (lambda: OSError(28, "No space left on device"), "cannot be written (No space left"),
    ],
)
def test_each_way_in_which_the_hub_gives_nothing_has_a_line(error, said, monkeypatch):
    def fail(*_, **__):
        raise error()

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(Unreachable) as caught:
        load()
    assert said in str(caught.value)
    assert str(caught.value).startswith("wanted config.json of model some-lab/tiny-reward, but ")
    assert "\n" not in str(caught.value)


DOWNLOADS = """
import sys, time
import huggingface_hub
def slow(*_, **__):
    print("begun", file=sys.__stderr__, flush=True)
    time.sleep(60)
huggingface_hub.snapshot_download = slow
sys.argv = ["rmeval", "run", "--benchmark", "demo", "--model", "some-lab/tiny-reward"]
from rmeval.cli import main
sys.exit(main())
"""


def test_control_c_waits_for_no_download(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", DOWNLOADS], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == "rmeval: interrupted; run the same command again to resume\n"
