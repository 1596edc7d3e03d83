"""Verbs that write checkpoints: another form of one, the mean of two."""

from pathlib import Path
from typing import Any, Literal

from rmeval.files import prepare_folder
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.checkpoints.converting import Converted
from rmeval.models.checkpoints.merging import Merge, require_empty
from rmeval.models.load import load_scorer, require_reward_model


def convert(
    model: str | Path,
    output: str | Path,
    *,
    form: Literal["classifier", "backbone"] = "classifier",
    dtype: str = "auto",
    drop_bias: bool = False,
    revision: str | None = None,
    family: str | None = None,
    base: str | None = None,
    chat_template: str | Path | None = None,
    allow_pickle: bool = False,
) -> Converted:
    """Writes a reward model as a plain checkpoint that transformers, TRL, vLLM and SGLang load.

    Args:
        model: a local folder, or a name on the Hub.
        output: an empty folder, or a new one.
        form: "classifier" gives the same rewards, "backbone" the states that the head reads.
        dtype: of what is written; "auto" keeps the weights' own.
        drop_bias: leave out what the head adds to every reward; order and margins stay the same.

    The rest is as for `load_model`. Raises BadCheckpoint or BadOption for what that form cannot
    say, before anything is written, and OutputFailure.
    """
    require_empty(Path(output))
    name = str(model)
    open_checkpoint(name, revision, allow_pickle, base=base)  # brings weights from the Hub
    loading: dict[str, Any] = {
        "revision": revision,
        "family": family,
        "base": base,
        "chat_template": chat_template,
        "allow_pickle": allow_pickle,
    }
    scorer = load_scorer(name, {**loading, "device": "cpu", "weights": False})
    converted = Converted(require_reward_model(scorer), form, dtype, drop_bias=drop_bias)
    converted.write(prepare_folder(Path(output)))
    return converted


def merge(a: str | Path, b: str | Path, output: str | Path, *, weight: float = 0.5) -> Merge:
    """Writes `weight` of `a` and the rest of `b`, tensor by tensor, into an empty or new folder.

    Raises BadCheckpoint where the two are not of one architecture and tokenizer, OutputFailure.
    """
    require_empty(Path(output))
    merged = Merge(open_checkpoint(str(a)), open_checkpoint(str(b)), weight)
    merged.write(prepare_folder(Path(output)))
    return merged
