"""The base of an adapter: where it is, and under which class the adapter was trained on it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_MAPPING, AutoConfig, AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from rmeval.errors import BadCheckpoint, BadOption, UnknownName, Unreachable
from rmeval.hub import local_folder
from rmeval.models.checkpoints.adapter import Adapter
from rmeval.models.checkpoints.checkpoint import Checkpoint, Opening, find_checkpoint, open_whole
from rmeval.models.checkpoints.not_readable import adapter_files, refuse_adapter
from rmeval.models.checkpoints.weight_files import HEADS, PICKLED, SAFE, some
from rmeval.models.text.tokenizer_files import has_tokenizer, load_tokenizer, tokenizer_settings

CLASSIFIERS = {  # the class that a task of PEFT's is trained with, by model_type
    "SEQ_CLS": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "TOKEN_CLS": MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
}
HEADLESS = (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)
OF_OPENRLHF = ("RewardModel", "ForSequenceRegression", "CriticModel")  # its own classes
OF_CLASSIFIER = ("score", "classifier", "value_head")  # heads under a classifier's class name
OF_OTHERS = ("v_head", "regression_head", "score_head", "lm_head")
EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings)\.weight$")
AS_SCORES = "any other would give numbers that look like scores"


def open_base(adapter: Adapter, commit: str | None, opening: Opening) -> Checkpoint:
    """Returns an adapter's base: the one asked for, or beside it, or that it names.

    `commit` is that of an adapter on the Hub. Raises BadCheckpoint, with what to do.
    """
    folder = adapter.folder
    if opening.base is None and commit is None and _has_whole_model(folder):
        return open_whole(str(folder), folder, None, opening)
    asked = opening.base or adapter.settings.get("base_model_name_or_path")
    if not isinstance(asked, str) or not asked:
        raise adapter.refused("the adapter does not name its base; pass `base=FOLDER_OR_ID`")
    revision = None if opening.base else adapter.settings.get("revision")
    try:
        local = local_folder(asked) if opening.base else _near(adapter, asked)
        where = str(local or asked)
        found, at = find_checkpoint(where, None if local else revision, opening.remote_code)
        if adapter_files(found) and not _has_whole_model(found):
            refuse_adapter(found, "the base of another adapter must be whole")
        return open_whole(where, found, at, opening)
    except (UnknownName, Unreachable, BadOption, BadCheckpoint) as error:
        reason = str(error)
        if not isinstance(error, BadCheckpoint):  # whose advice is not of a model, but of its files
            reason = reason.partition(";")[0].removeprefix(f"model {asked}: ")
        advice = "" if opening.base else "; pass its base with `base=FOLDER_OR_ID`"
        raise adapter.refused(f"the base of this adapter, {asked}: {reason}{advice}") from error


def as_trained(base: Checkpoint, adapter: Adapter) -> tuple[Checkpoint, dict[str, Any]]:
    """Returns the base under the class that the adapter was trained with, and what is changed.

    A language model, or a body alone, gets a classifier's class where the adapter has its head.
    Raises BadCheckpoint for a head that is missing, or whose name says nothing.
    """
    headless = base.architecture in [t.get(base.config.get("model_type")) for t in HEADLESS]
    _require_what_was_trained(base, adapter, headless=headless)
    overrides: dict[str, Any] = {}
    if headless:
        body = _body_prefix(base)
        base = _with_prefix(base, body)
        if any(_first(name) in OF_CLASSIFIER for name in adapter.whole):
            base, overrides = _as_classifier(base, adapter, body)
    _require_known_heads(base, adapter)
    decoder = "score.weight" in {*adapter.whole, *base.shapes}
    if decoder and (pad := _pad_of(adapter.folder)) is not None:
        overrides["pad_token_id"] = pad
    return base, overrides


def _has_whole_model(folder: Path) -> bool:
    """Whether config.json and whole weights lie in a folder, beside an adapter's."""
    files = [*folder.glob(SAFE.others), *folder.glob(PICKLED.others)]
    others = {*adapter_files(folder), *HEADS}
    return (folder / "config.json").is_file() and any(file.name not in others for file in files)


def _near(adapter: Adapter, asked: str) -> Path | None:
    """Returns the base's folder: in the adapter's, beside it, or in the working folder.

    An absolute path is what it is. Raises BadCheckpoint for two folders.
    """
    starts = (adapter.folder, adapter.folder.resolve().parent, Path())
    places = [local_folder(str(start / Path(asked).expanduser())) for start in starts]
    found = list(
        {place.resolve() for place in places if place and (place / "config.json").is_file()}
    )
    if len(found) > 1:
        both = " or ".join(map(str, sorted(found)))
        raise adapter.refused(f"its base, {asked}, may be {both}; pass one of them as `base=`")
    return found[0] if found else None


def _require_what_was_trained(base: Checkpoint, adapter: Adapter, *, headless: bool) -> None:
    """Raises BadCheckpoint where a module was trained, a head among them, and is not there."""
    saved = adapter.settings.get("modules_to_save") or []
    have = [module for module in saved if _holds(adapter.whole, module)]
    lost = [m for m in saved if m not in have and (not have or _holds(base.shapes, m))]
    heads = {_first(name) for name in adapter.whole} & {*OF_CLASSIFIER, *OF_OTHERS}
    if _task(adapter) in CLASSIFIERS and headless and not heads:
        raise adapter.refused(
            f"its base is {base.architecture}, and the head that was trained (score) is not in the "
            f"adapter's file (PEFT's modules_to_save); {AS_SCORES}"
        )
    if lost:
        raise adapter.refused(
            f"{some(lost)} was trained with this adapter (modules_to_save), and its file does not "
            f"hold it; {AS_SCORES}"
        )


def _task(adapter: Adapter) -> str | None:
    """Returns the task that an adapter was trained for.

    TRL's and OpenRLHF's trainers take adapters without a task; then PEFT names the class that it
    was trained on.
    """
    if (task := adapter.settings.get("task_type")) is not None:
        return str(task)
    trained = str((adapter.settings.get("auto_mapping") or {}).get("base_model_class"))
    of_class = ((task, names.values()) for task, names in CLASSIFIERS.items())
    found = next((task for task, classes in of_class if trained in classes), None)
    return found or ("SEQ_CLS" if trained.endswith(OF_OPENRLHF) else None)


def _require_known_heads(base: Checkpoint, adapter: Adapter) -> None:
    """Raises BadCheckpoint for a module that is neither the base's nor a head that is known."""
    known = (*OF_CLASSIFIER, *OF_OTHERS)
    new = [name for name in adapter.whole if name not in base.shapes]
    if unknown := [name for name in new if _first(name) not in known and not _bias(base, name)]:
        raise adapter.refused(
            f"it holds {some(unknown)} (modules_to_save): no weight of its base {base.name} "
            f"and no known head ({', '.join(known)})"
        )


def _bias(base: Checkpoint, name: str) -> bool:
    return name.endswith(".bias") and f"{name.removesuffix('bias')}weight" in base.shapes


def _first(name: str) -> str:
    return name.partition(".")[0]


def _holds(names: Mapping[str, object], module: str) -> bool:
    return any(f".{module}." in f".{name}" for name in names)


def _body_prefix(base: Checkpoint) -> str:
    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    return f"{MODEL_MAPPING[type(config)].base_model_prefix}."


def _with_prefix(base: Checkpoint, prefix: str) -> Checkpoint:
    """Returns a body that was saved alone under the names that it has in a larger class."""
    if any(name.startswith(prefix) for name in base.shapes):
        return base
    return replace(
        base,
        shapes={prefix + name: shape for name, shape in base.shapes.items()},
        places={prefix + name: place for name, place in base.places.items()},
    )


def _as_classifier(
    base: Checkpoint, adapter: Adapter, body: str
) -> tuple[Checkpoint, dict[str, Any]]:
    """Returns a base without a language model's head, and what its config.json says instead."""
    model_type, task = base.config["model_type"], _task(adapter) or "SEQ_CLS"
    named = CLASSIFIERS.get(task, CLASSIFIERS["SEQ_CLS"]).get(model_type)
    if named is None:
        raise adapter.refused(f"transformers has no classifier for its base's {model_type!r}")
    also = _beside_its_body(base)
    names = {name for name in base.shapes if name.startswith(body) or name in also}
    kept = replace(
        base,
        shapes={name: base.shapes[name] for name in names},
        places={name: base.places[name] for name in names},
    )
    return kept, {"architectures": [named], "num_labels": 1}


def _beside_its_body(base: Checkpoint) -> set[str]:
    """Returns what an encoder's classifier has of a masked language model beside the body.

    ModernBERT's `head` is one; of most there is nothing.
    """
    masked = MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(base.config.get("model_type"))
    if base.architecture != masked:
        return set()
    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    with torch.device("meta"):
        return set(AutoModelForSequenceClassification.from_config(config).state_dict())


def _pad_of(folder: Path) -> int | None:
    """Returns the pad token of the tokenizer that was saved with an adapter.

    TRL's RewardTrainer writes it into the model's config, which PEFT does not save.
    """
    if not has_tokenizer(folder) or not tokenizer_settings(folder).get("pad_token"):
        return None
    pad: int | None = load_tokenizer(folder).pad_token_id
    return pad
