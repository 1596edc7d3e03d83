"""A full memory, by all the names that it comes under."""

import pytest
import torch

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"
    ),
    MemoryError(),
]
names_of_full = pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[-30:])


def raising(error):
    """A function, or hook, that does nothing else."""

    def full(*_, **__):
        raise error

    return full
