"""Errors that say that memory ran out, whichever library raised them, and how much was asked for.

Knows the words of Python, NumPy, TensorFlow, XLA, CUDA and PyTorch. Must not know trials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

__all__ = ["asked_bytes", "is_shortage", "on_gpu"]

_TYPES = ("ResourceExhaustedError", "OutOfMemoryError", "_ArrayMemoryError")
_WORDS = re.compile(
    r"RESOURCE_EXHAUSTED|OOM when allocating|out of memory|Out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED|std::bad_alloc|DefaultCPUAllocator: can't allocate"
    r"|Cannot allocate memory|Unable to allocate"
)
_PLAIN_WORDS = re.compile(r"RESOURCE_EXHAUSTED|CUDA out of memory|std::bad_alloc|DefaultCPUAllocator: can't allocate")
"""Those of libraries that raise a plain RuntimeError."""
_RAISERS = re.compile(r"^(tensorflow|jax|jaxlib|torch|numpy|cupy|keras)\b")
"""Modules of the errors whose words are believed: a user's own error may speak of memory and mean something else."""
_UNITS = {"": 1} | {
    f"{letter}{binary}": (1024 if binary else 1000) ** power
    for power, letter in enumerate("kmgtpe", start=1)
    for binary in ("", "i")
}
_SIZED = re.compile(r"allocat\w*(?: request for)?\s+([\d.]+)\s*([kmgtpe]?i?)(?:b\b|bytes?\b)", re.IGNORECASE)
_TENSOR = re.compile(r"tensor with shape\s*\[([\d,\s]*)\] and type (\w+)")
_BITS = re.compile(r"(\d+)")


def is_shortage(error: BaseException) -> bool:
    """Whether an error, or the one that it was raised from, says that memory ran out."""
    return any(_says_so(each) for each in _chain(error))


def asked_bytes(error: BaseException) -> int | None:
    """How much was asked for when memory ran out; None where nobody says."""
    sizes = [found for each in _chain(error) if (found := _size_in(str(each))) is not None]
    return max(sizes, default=None)


def on_gpu(error: BaseException) -> bool:
    """Whether it is a GPU's memory that ran out."""
    return any(re.search(r"device:GPU|CUDA|GPU_0|cuda:|allocator GPU", str(each)) for each in _chain(error))


def _says_so(error: BaseException) -> bool:
    kind = type(error)
    if isinstance(error, MemoryError) or kind.__name__ in _TYPES:
        return True
    if isinstance(error, OSError):
        return error.errno == 12  # ENOMEM
    if kind is RuntimeError:
        return bool(_PLAIN_WORDS.search(str(error)))
    return bool(_RAISERS.match(kind.__module__) and _WORDS.search(str(error)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        yield step
        step = step.__cause__ or step.__context__


def _size_in(text: str) -> int | None:
    tensor = _TENSOR.search(text)
    if tensor is not None:
        shape = [int(each) for each in tensor.group(1).split(",") if each.strip()]
        return prod(shape) * _bytes_of(tensor.group(2))
    sized = _SIZED.search(text)
    if sized is None:
        return None
    return int(float(sized.group(1)) * _UNITS[sized.group(2).lower()])


def _bytes_of(dtype: str) -> int:
    """Of an element: float is 4 bytes, double 8, half 2, int64 8, bool 1."""
    known = {"float": 4, "double": 8, "half": 2, "bool": 1, "complex64": 8, "complex128": 16}
    bits = _BITS.search(dtype)
    return known.get(dtype) or (max(1, int(bits.group(1)) // 8) if bits else 4)
