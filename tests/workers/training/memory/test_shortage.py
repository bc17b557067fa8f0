"""Errors that say that memory ran out are known, whichever library raised them, with the size that was asked for."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from bandstand_workers.training.memory.shortage import asked_bytes, is_shortage, on_gpu

TENSORFLOW = (
    "{{function_node __wrapped__AddV2_device_/job:localhost/replica:0/task:0/device:CPU:0}} OOM when allocating tensor "
    "with shape[10000,20000] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator mklcpu"
)


def error_of(module: str, name: str, text: str, base: type[Exception] = RuntimeError) -> Exception:
    return type(name, (base,), {"__module__": module})(text)


TF = "tensorflow.python.framework.errors_impl"
XLA = "RESOURCE_EXHAUSTED: Out of memory allocating 40000000000 bytes."
PJRT = "RESOURCE_EXHAUSTED: Failed to allocate request for 2.50GiB (2684354560B) on device ordinal 0"
TORCH = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 10.76 GiB"
TORCH_CPU = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes."


@pytest.mark.parametrize(
    ("error", "size"),
    [
        (MemoryError(), None),
        (error_of(TF, "ResourceExhaustedError", TENSORFLOW, Exception), 8 * 10**8),
        (error_of("jaxlib._jax", "XlaRuntimeError", XLA), 4 * 10**10),
        (error_of("jax.errors", "JaxRuntimeError", PJRT), 5 * 2**29),
        (error_of("torch", "OutOfMemoryError", TORCH), 20 * 2**20),
        (RuntimeError(TORCH_CPU), 400),
        (error_of(TF, "InternalError", "CUDA_ERROR_OUT_OF_MEMORY: out of memory", Exception), None),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), None),
    ],
)
def test_it_is_known_with_its_size(error: Exception, size: int | None) -> None:
    assert is_shortage(error)
    assert asked_bytes(error) == size


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory: this is a name"),
        RuntimeError("the robot is out of memory cards"),
        OSError(errno.ENOSPC, "No space left on device"),
        error_of("my_project", "OutOfStockError", "out of memory"),
        KeyError("memory"),
    ],
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_shortage(error)


def test_the_error_behind_another_counts() -> None:
    with pytest.raises(ValueError, match="wrapped") as raised:
        try:
            np.empty(10**15)
        except MemoryError as error:
            raise ValueError("wrapped") from error
    assert is_shortage(raised.value)
    assert asked_bytes(raised.value) == pytest.approx(8 * 10**15, rel=0.01)


def test_a_gpus_memory_is_told_from_the_machines() -> None:
    assert on_gpu(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not on_gpu(MemoryError(TENSORFLOW))
