"""The repository's own code, only with `trust_remote_code` and only where there is no adapter.

Such code may have been written for another version of transformers, and may go wrong without an
error. So a model is refused whose weights are not all found, whose buffers are not what its own
constructor makes, or whose rewards are not finite and reproducible.
"""

import math
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from rmeval.engine.forward import forward_padded
from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.not_readable import refuse_adapter
from rmeval.models.family import Family, Placed
from rmeval.models.network import Network
from rmeval.models.text.tokenizer_files import require_own_ids

AUTO_CLASSES = {
    "AutoModelForSequenceClassification": AutoModelForSequenceClassification,
    "AutoModel": AutoModel,
}
PROBES = [np.array(ids, dtype=np.int32) for ids in ([3, 5, 7, 9, 11], [2, 4, 6, 8, 10])]


class RemoteCode(Family):
    """A model class that comes with the checkpoint and returns `logits`, one per sequence."""

    name = "remote-code"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return any(name in AUTO_CLASSES for name in checkpoint.config.get("auto_map", {}))

    def read_config(self) -> Any:
        return AutoConfig.from_pretrained(self.checkpoint.folder, trust_remote_code=True)

    def tokenizer(self) -> Any:
        folder = self.checkpoint.folder
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        require_own_ids(tokenizer, folder)
        return tokenizer

    def head(self) -> nn.Module | None:
        return None

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        raise NotImplementedError("remote code places its own weights")

    def load(self, device: torch.device, dtype: torch.dtype) -> Network:
        """Returns the loaded network, after the checks above. Raises BadCheckpoint."""
        if self.checkpoint.adaptation is not None:
            refuse_adapter(self.checkpoint.adaptation.folder, "its base has code of its own")
        auto_map = self.checkpoint.config["auto_map"]
        auto_class = next(AUTO_CLASSES[name] for name in AUTO_CLASSES if name in auto_map)
        model, report = auto_class.from_pretrained(
            self.checkpoint.folder, trust_remote_code=True, dtype=dtype, output_loading_info=True
        )
        missing = sorted(report["missing_keys"])
        if missing:
            self._refuse(f"its code leaves {missing[0]} ({len(missing)} in all) without weights")
        self._check_buffers(model, dtype)
        network = Network(model.to(device), None, may_pad=False)
        network.eval().requires_grad_(False)
        self._check_rewards(network)
        return network

    def _check_buffers(self, model: nn.Module, dtype: torch.dtype) -> None:
        """A buffer that is in no file must be as the constructor makes it, not left as found."""
        from accelerate import init_empty_weights

        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with init_empty_weights(include_buffers=False):
                fresh = dict(type(model)(model.config).named_buffers())
        finally:
            torch.set_default_dtype(before)
        for name, buffer in model.named_buffers():
            made = fresh.get(name)
            if name in self.checkpoint.shapes or made is None or made.shape != buffer.shape:
                continue
            if not torch.allclose(buffer.double(), made.double(), rtol=1e-2):
                self._refuse(f"under this transformers, its buffer {name} is left uninitialised")

    def _check_rewards(self, network: Network) -> None:
        try:
            together = forward_padded(network, PROBES)
            alone = [forward_padded(network, [probe])[0] for probe in PROBES]
        except BadCheckpoint as error:
            self._refuse(str(error))
        if not all(map(math.isfinite, [*together, *alone])):
            self._refuse(f"its rewards are not finite: {together}")
        pairs = zip(together, alone, strict=True)
        if not all(math.isclose(a, b, rel_tol=0.02, abs_tol=0.02) for a, b in pairs):
            self._refuse(f"its rewards are not reproducible: {together}, then {alone}")

    def _refuse(self, reason: str) -> NoReturn:
        raise BadCheckpoint(f"{self.checkpoint.folder}: remote code refused: {reason}")
