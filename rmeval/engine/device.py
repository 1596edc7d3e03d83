"""Where a network computes, and what a GPU does to a forward pass beside computing it.

A network that is spread over devices has accelerate's hooks. They know where each part runs: a
weight may wait on the host, and then stands on "meta" between passes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rmeval.errors import first_line

# What a full memory is called, beside torch.OutOfMemoryError, in RuntimeErrors: the runtime's, the
# driver's and Triton's, that of cuBLAS, cuDNN and the like, and that of torch on the host.
NAMES_OF_FULL = ("out of memory", "_STATUS_ALLOC_FAILED", "can't allocate memory")


def home(module: nn.Module) -> torch.device:
    """Returns the device that computes the first part of a module: where its input goes."""
    for part in module.modules():
        for hook in _hooks(part):
            where = getattr(hook, "execution_device", None)
            if where is not None:  # accelerate names a GPU by its number, too
                return (
                    torch.device("cuda", where) if isinstance(where, int) else torch.device(where)
                )
    return next(module.parameters()).device


def waits_on_host(module: nn.Module) -> bool:
    """Whether a module's own weights are brought to its device for each pass."""
    return any(getattr(hook, "offload", False) for hook in _hooks(module))


def is_empty(network: nn.Module) -> bool:
    """Whether a network has no weights, so that it can be planned with and not computed."""
    return any(
        parameter.is_meta and not waits_on_host(module)
        for module in network.modules()
        for parameter in module.parameters(recurse=False)
    )


def cards(network: nn.Module) -> list[torch.device]:
    """Returns the GPUs that hold weights of a network, in order."""
    found = {weight.device for weight in network.parameters() if weight.device.type == "cuda"}
    return sorted(found, key=str)


def bring(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a tensor of the host's on a device; the host does not wait for what a GPU is at."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def most_held(network: nn.Module) -> int:
    """Returns the bytes that the fullest of a network's GPUs has held; 0 without one."""
    return max(map(torch.cuda.max_memory_allocated, cards(network)), default=0)


@contextmanager
def one_name_for_full() -> Iterator[None]:
    """Raises torch.OutOfMemoryError for a memory that is full, under whatever name it comes."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(name in str(error) for name in NAMES_OF_FULL):
            raise torch.OutOfMemoryError(first_line(error)) from error
        raise


@contextmanager
def without_cudnn_attention() -> Iterator[None]:
    """Has torch take another kernel than cuDNN's, which plans for a second at each new shape.

    Here every batch is a new shape. The scores of one sequence are the same up to rounding.
    """
    before: bool = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def _hooks(module: nn.Module) -> list[object]:
    hook = getattr(module, "_hf_hook", None)
    return [] if hook is None else [hook, *getattr(hook, "hooks", ())]
