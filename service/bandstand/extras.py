"""Which packages each extra of the distribution brings, and the one line for whoever needs an extra and lacks it.

Knows packages by name. Must not import any of them: whether one is installed is looked up without running it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import NamedTuple

from bandstand.errors import MissingExtraError

__all__ = ["EXTRAS", "Extra", "lacks", "missing_packages", "require", "require_module"]


class Extra(NamedTuple):
    """What an extra is for, and what it brings."""

    purpose: str
    """What its packages do, after "packages that"."""
    packages: tuple[str, ...]
    """Those whose absence is told, the best known first. A package's module has its name, with `_` for `-`, unless
    `_MODULES` names it."""


EXTRAS: Mapping[str, Extra] = MappingProxyType(
    {
        "workers": Extra("train models", ("tensorflow", "keras", "ray", "safetensors", "ml-dtypes", "psutil")),
        "server": Extra(
            "serve a team",
            (
                "fastapi",
                "uvicorn",
                "jinja2",
                "httptools",
                "itsdangerous",
                "prometheus-client",
                "python-multipart",
            ),
        ),
        "dashboard": Extra("show Optuna Dashboard", ("optuna-dashboard", "waitress", "psutil")),
        "jax": Extra("train with JAX", ("jax",)),
        "images": Extra("draw images", ("kaleido",)),
        "parquet": Extra("write Parquet", ("pyarrow",)),
        "otel": Extra("send traces", ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")),
        "s3": Extra("keep files in an S3 bucket", ("s3fs",)),
        "tensorboard": Extra("write TensorBoard's files", ("tensorboard",)),
    }
)
"""What pyproject.toml declares, without the extras `gpu` and `all`, which bring no module of their own."""

_MODULES = {
    "opentelemetry-sdk": "opentelemetry.sdk",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
}
"""Of packages that share a namespace with others."""
_NAMED = 3
"""Missing packages that a message names; of more it gives the number."""


def require(extra: str, who: str, packages: Sequence[str] | None = None, *, otherwise: str = "") -> None:
    """Refuse what needs an extra that is not installed.

    Args:
        extra: its name.
        who: what needs it, as a message begins: "`bandstand run`".
        packages: those that are needed; all of the extra's when left out.
        otherwise: another way out, after "or".

    Raises:
        MissingExtraError: one of the packages is not installed.
    """
    missing = missing_packages(EXTRAS[extra].packages if packages is None else packages)
    if missing:
        raise MissingExtraError(lacks(extra, who, missing, otherwise=otherwise))


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Those that are not installed; none of them is imported."""
    return [package for package in packages if not _is_installed(_MODULES.get(package, package.replace("-", "_")))]


def require_module(module: str, who: str) -> None:
    """Refuse what imports a module that an extra brings and that is not installed; let any other module be.

    Raises:
        MissingExtraError: there is such an extra.
    """
    package = module.partition(".")[0].replace("_", "-")
    for name, extra in EXTRAS.items():
        if package in extra.packages:
            require(name, who, [package])


def lacks(extra: str, who: str, missing: Sequence[str], *, otherwise: str = "") -> str:
    """The line that says so.

    Example:
        >>> print(lacks("jax", "KERAS_BACKEND=jax", ["jax"]))
        KERAS_BACKEND=jax needs packages that train with JAX; jax is not installed: pip install "bandstand[jax]"
    """
    way = f'pip install "bandstand[{extra}]"' + (f", or {otherwise}" if otherwise else "")
    verb = "is" if len(missing) == 1 else "are"
    return f"{who} needs packages that {EXTRAS[extra].purpose}; {_listed(missing)} {verb} not installed: {way}"


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what the module is in
        return False


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
