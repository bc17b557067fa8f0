"""Python, the packages that are installed, and whether their versions fit.

Knows the distribution's own requirements. Must not import what it looks up.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from bandstand.commands.work.checkup.finding import Finding, ok, problem, warning
from bandstand.extras import EXTRAS, missing_packages

__all__ = ["examine_packages"]

_BACKENDS = {"tensorflow": "workers", "jax": "jax"}
"""What Keras may run on here, and the extra that brings it."""


def examine_packages() -> Iterator[Finding]:
    """Versions first, then what the extras lack."""
    yield from _versions()
    yield _training()
    yield _backend()
    others = [name for name, extra in EXTRAS.items() if name != "workers" and not missing_packages(extra.packages)]
    yield ok("extras", f"installed besides: {', '.join(others) or 'none'}")


def _versions() -> Iterator[Finding]:
    from packaging.requirements import Requirement
    from packaging.version import Version

    wrong = []
    for line in requires("bandstand") or ():
        wanted = Requirement(line)
        extra_unwanted = wanted.marker is not None and not any(
            wanted.marker.evaluate({"extra": extra}) for extra in ("", *EXTRAS)
        )
        if extra_unwanted or wanted.name == "bandstand":
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            continue  # an extra's, which has a line of its own
        if not wanted.specifier.contains(Version(installed), prereleases=True):
            wrong.append(f"{wanted.name} {installed} (must be {wanted.specifier})")
    here = f"bandstand {version('bandstand')}, Python {platform.python_version()}"
    if wrong:
        yield problem(
            "versions", f"{here}; these packages do not fit: {', '.join(sorted(set(wrong)))}",
            "install Bandstand again: pip install --upgrade bandstand",
        )  # fmt: skip
    else:
        yield ok("versions", f"{here}; all packages have versions that fit")


def _training() -> Finding:
    missing = missing_packages(EXTRAS["workers"].packages)
    if not missing:
        return ok("training", f"Ray {version('ray')}, Keras {version('keras')}, TensorFlow {version('tensorflow')}")
    return warning(
        "training", f"this machine cannot train: {', '.join(missing)} not installed",
        'pip install "bandstand[workers]". Without it, this machine can still look at studies and submit them',
    )  # fmt: skip


def _backend() -> Finding:
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _BACKENDS:
        return problem(
            "backend", f"KERAS_BACKEND is {backend!r}; trainers know {' and '.join(_BACKENDS)}", "unset KERAS_BACKEND"
        )
    if backend == "jax" and missing_packages(EXTRAS["jax"].packages):
        return problem("backend", "KERAS_BACKEND is 'jax', and jax is not installed", 'pip install "bandstand[jax]"')
    return ok("backend", f"Keras runs on {backend}")
