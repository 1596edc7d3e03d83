"""The command line in this process, and a model small enough to score the demo in a moment."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import TOKENIZER_FILES, internlm2_config, internlm2_tensors, write_checkpoint
from conftest import DEMO_MODEL

from rmeval.cli import main
from rmeval.engine.store import ScoreStore

torch.set_num_threads(1)  # more only wait for each other on a model of this size

Capture = pytest.CaptureFixture[str]


def refusal(capsys: Capture, *arguments: object) -> str:
    """The line on stderr of a command that a user can mend; stdout stays empty.

    Before it stand only how far it was, and where its result would go beside another.
    """
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("rmeval: ")
    told = [other for other in err.splitlines()[:-1] if not other.startswith("scored ")]
    assert all("this one goes to" in other for other in told), err
    return line.removeprefix("rmeval: ")


def done(capsys: Capture, *arguments: object) -> tuple[str, str]:
    """What a command that succeeds writes to stdout and stderr."""
    assert main([str(argument) for argument in arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def small_model(folder: Path, *, reward: float | None = None) -> Path:
    """Random weights under the demo's tokenizer; `reward` is put into one weight of the head."""
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    depth = {"num_hidden_layers": 1, "intermediate_size": 24, "vocab_size": 4103}
    config = internlm2_config(**sizes, **depth, reward_token_id=4096, max_position_embeddings=2048)
    tensors = internlm2_tensors(config)
    if reward is not None:
        tensors["v_head.weight"][0, 3] = reward
    write_checkpoint(folder, config, tensors)
    for file in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / file, folder / file)
    return folder


def interrupt_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Ctrl-C comes when so many batches are kept."""
    keep = ScoreStore.put
    kept: list[Any] = []

    def put(store: ScoreStore, *batch: Any) -> None:
        keep(store, *batch)
        kept.append(batch)
        if len(kept) == batches:
            raise KeyboardInterrupt

    monkeypatch.setattr(ScoreStore, "put", put)


def count_batches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows with each batch that is computed and kept."""
    keep = ScoreStore.put
    computed: list[Any] = []

    def put(store: ScoreStore, *batch: Any) -> None:
        computed.append(batch)
        keep(store, *batch)

    monkeypatch.setattr(ScoreStore, "put", put)
    return computed
