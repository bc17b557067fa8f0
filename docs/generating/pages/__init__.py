"""The pages of docs/reference that are written from the code, by file name.

To add one: a module here with `make() -> str`, and a line in `PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from docs.generating.pages import (
    commands,
    dependencies,
    environment,
    errors,
    figures,
    http_api,
    learning_rates,
    metrics,
    python,
    python_workers,
    simulated_curves,
    strategies,
    study_file,
)

__all__ = ["PAGES"]

PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "strategies.md": strategies.make,
        "study-file.md": study_file.make,
        "commands.md": commands.make,
        "http-api.md": http_api.make,
        "metrics.md": metrics.make,
        "environment.md": environment.make,
        "figures.md": figures.make,
        "learning-rates.md": learning_rates.make,
        "simulated-curves.md": simulated_curves.make,
        "errors.md": errors.make,
        "python.md": python.make,
        "python-workers.md": python_workers.make,
        "dependencies.md": dependencies.make,
    }
)
