"""A reward model as a plain checkpoint of transformers: a classifier, or its backbone alone.

`*ForSequenceClassification` has one matrix, `score`, on the last token that is no padding. What a
model does beyond that must be said by the chat template (tokens around a text) or by
config.json (the pad token), or it cannot be said, and is refused.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import MODEL_MAPPING, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from rmeval.errors import BadCheckpoint, BadOption
from rmeval.models.checkpoints.converting_text import Text
from rmeval.models.checkpoints.merging import all_or_nothing, write_object
from rmeval.models.checkpoints.weight_files import SAFE
from rmeval.models.dpo.network import DPO
from rmeval.models.loading import head_weights
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.tokenizer_files import has_tokenizer

RECORD = "convert.json"
FILE_BYTES = 4 << 30  # of a weight file, beyond which the next begins
PROBES = 8
OF_CLASS = (  # settings of the class that was, or of its head, which the plain one has not
    *("architectures", "model_type", "num_labels", "id2label", "label2id", "_name_or_path"),
    *("auto_map", "reward_token_id", "vhead_layer_type", "vhead_num_layers", "value_head_prefix"),
    *("normalize_reward", "mean", "std", "score_type", "do_normalize", "momentum"),
)


class Converted:
    """A reward model, loaded without its weights, in another form: "classifier" or "backbone".

    Raises BadCheckpoint, and BadOption, for what that form cannot say.
    """

    def __init__(self, model: RewardModel, form: str, dtype: str, *, drop_bias: bool) -> None:
        self._model, self._form = model, form
        self._family, self._checkpoint = model.family, model.family.checkpoint
        self._dtype = None if dtype == "auto" else getattr(torch, dtype)
        self.bias = 0.0
        if isinstance(model.family, DPO) or not isinstance(model.network.backbone, PreTrainedModel):
            raise self._refused("its body is not a transformers model")
        self._require_linear(drop_bias=drop_bias)

    @cached_property
    def architecture(self) -> str:
        """The class that config.json names."""
        if self._form == "backbone" or self._whole:
            return type(self._model.network.backbone).__name__
        found = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(
            type(self._model.network.config), None
        )
        if found is None:
            kind = self._model.network.config.model_type
            raise self._refused(f"transformers has no classifier for {kind!r}")
        return str(found.__name__)

    def notes(self) -> str:
        """Returns what a user must know of the folder, as one line's end."""
        notes = [f"without the {self.bias:g} that its head adds"] if self.bias else []
        if not has_tokenizer(self._checkpoint.tokenizer_folder):
            notes.append("without a tokenizer")
        return "".join(f"; {note}" for note in notes)

    def write(self, folder: Path) -> None:
        """Writes weights, config.json, the tokenizer and convert.json into an empty folder."""
        text = None
        if has_tokenizer(self._checkpoint.tokenizer_folder):
            text = Text(self._model, self._form == "classifier" and not self._whole)
        with all_or_nothing(folder) as unfinished:
            self._write_weights(unfinished)
            self._write_config(unfinished, text.pad if text else self._pad_without_text())
            if text is not None:
                text.write(unfinished)
            write_object(unfinished / RECORD, self._record())

    @property
    def _whole(self) -> bool:
        """Whether it is transformers' own class already, with a head of its own (an encoder's)."""
        return self._model.network.head is None

    def _require_linear(self, *, drop_bias: bool) -> None:
        if self._form == "backbone" and self._whole:
            raise self._refused("it pools for itself and has no separate backbone")
        if self._form == "backbone" or self._whole:
            return
        _ = self.architecture
        self.score, self.bias = self._linear()
        if self.bias and not drop_bias:
            raise BadOption(
                f"{self._model.name}: its head adds {self.bias:g} to every reward, which a "
                "classifier's score does not; pass `drop_bias=True` (order and margins stay)"
            )

    def _linear(self) -> tuple[torch.Tensor, float]:
        """Returns the head as one matrix (1, H), and what it adds. Raises BadCheckpoint."""
        head = self._family.head()
        assert head is not None
        kept = head_weights(self._family)
        dtypes = {value.dtype for value in kept.values() if value.is_floating_point()}
        size = self._model.network.config.get_text_config().hidden_size
        try:
            head.load_state_dict(kept)
            weight, bias = _as_matrix(head.double(), size)
        except RuntimeError as error:  # weights that are missing, or states that are no (N, H)
            raise self._not_linear() from error
        if weight is None:
            raise self._not_linear()
        return weight.to(dtypes.pop() if len(dtypes) == 1 else torch.float32), bias

    def _keys_of(self, part: str) -> list[str]:
        """Returns the checkpoint's weights that go into a part of the network."""
        meta = {k: torch.empty(s, device="meta") for k, s in self._checkpoint.shapes.items()}
        return [
            key
            for key, tensor in meta.items()
            if any(name.startswith(part) for name, _ in self._family.place(key, tensor))
        ]

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the weights under the names of the class, in their dtype or the one asked for."""
        body = MODEL_MAPPING[type(self._model.network.config)].base_model_prefix
        prefix = "" if self._form == "backbone" or self._whole else f"{body}."
        for key, tensor in self._checkpoint.tensors(self._keys_of("backbone.")):
            for name, value in self._family.place(key, tensor):
                if name.startswith("backbone."):
                    yield prefix + name.removeprefix("backbone."), value
        if self._form == "classifier" and not self._whole:
            yield "score.weight", self.score

    def _write_weights(self, folder: Path) -> None:
        files: list[dict[str, torch.Tensor]] = [{}]
        names: list[list[str]] = []
        total = size = 0

        def flush() -> None:
            held = files.pop()
            save_file(held, folder / f"{len(names)}.part", metadata={"format": "pt"})
            names.append(list(held))
            files.append({})

        for name, tensor in self._tensors():
            given = tensor.to(self._dtype) if self._dtype and tensor.is_floating_point() else tensor
            if size and size + given.nbytes > FILE_BYTES:
                flush()
                size = 0
            files[0][name] = given.contiguous().clone()
            size += given.nbytes
            total += given.nbytes
        flush()
        _name_files(folder, names, total)

    def _write_config(self, folder: Path, pad: int | None) -> None:
        """Writes what config.json says of the body, in words of both transformers 4 and 5."""
        config, said = self._family.config(), self._checkpoint.config
        if said.get("model_type") != config.model_type:  # InternLM2's body is a Llama here
            said = {**config.to_diff_dict(), "rope_theta": config.rope_parameters["rope_theta"]}
            if config.rope_parameters["rope_type"] != "default":
                said["rope_scaling"] = config.rope_parameters
        kept = {key: value for key, value in said.items() if key not in OF_CLASS}
        dtype = self._dtype or said.get("dtype") or said.get("torch_dtype") or torch.float32
        kept["dtype"] = kept["torch_dtype"] = str(dtype).removeprefix("torch.")
        if self._form == "classifier":
            labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
            kept |= {**labels, "problem_type": "regression", "pad_token_id": pad}
        about = {"architectures": [self.architecture], "model_type": config.model_type}
        write_object(folder / "config.json", {**about, **kept})

    def _pad_without_text(self) -> int | None:
        """Without a pad token transformers' class reads the last token, of one text at a time."""
        network = self._model.network
        return None if network.pool.rule == "last" else network.pool.pad_token_id

    def _record(self) -> dict[str, Any]:
        checkpoint = self._checkpoint
        return {
            "converted": {
                "name": checkpoint.name,
                "revision": checkpoint.revision,
                "fingerprint": checkpoint.fingerprint(),
                "family": self._family.name,
                "as": self._form,
                "bias_left_out": self.bias,
            }
        }

    def _not_linear(self) -> BadCheckpoint:
        return self._refused(
            f"the head of {self._family.name} is not a single matrix; use `form='backbone'`"
        )

    def _refused(self, reason: str) -> BadCheckpoint:
        return BadCheckpoint(f"{self._model.name} cannot be a {self._form}: {reason}")


def _as_matrix(head: nn.Module, size: int) -> tuple[torch.Tensor | None, float]:
    """Returns the matrix (1, H) that a head is, or None if it is none, and what it adds."""
    with torch.enable_grad():
        zero = torch.zeros(1, size, dtype=torch.float64, requires_grad=True)
        bias = head(zero)[:, 0]
        (weight,) = torch.autograd.grad(bias.sum(), zero)
    random = torch.Generator().manual_seed(0)
    probes = torch.randn(PROBES, size, dtype=torch.float64, generator=random) * 4
    with torch.inference_mode():
        given, expected = head(probes)[:, 0], probes @ weight[0] + bias
    linear = torch.allclose(given, expected, rtol=1e-9, atol=1e-9)
    return weight.detach() if linear else None, float(bias.detach())


def _name_files(folder: Path, names: list[list[str]], total: int) -> None:
    """Names weight files as transformers does: one, or numbered ones with an index."""
    if len(names) == 1:
        (folder / "0.part").rename(folder / SAFE.whole)
        return
    weight_map: dict[str, str] = {}
    for number, held in enumerate(names):
        called = f"model-{number + 1:05}-of-{len(names):05}.safetensors"
        (folder / f"{number}.part").rename(folder / called)
        weight_map |= dict.fromkeys(held, called)
    write_object(folder / SAFE.index, {"metadata": {"total_size": total}, "weight_map": weight_map})
