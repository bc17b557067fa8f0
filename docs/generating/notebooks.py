"""Notebooks: executed so that their outputs are those of the code, and shown on the site as pages.

`make reference` does not execute them, because that trains a study. This does:

    python -m docs.generating.notebooks

A notebook becomes a page by a few lines here. nbconvert and the plugins of MkDocs bring fonts and scripts that are
loaded from elsewhere, and the site opens without a network.

Knows the format of notebooks. Must not know what is in one.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

__all__ = ["execute", "page_from", "read"]

DOCS = Path(__file__).parents[1]
_TIMEOUT_SECONDS = 300


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook in a file."""
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # as below
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: Path, environment: Mapping[str, str]) -> nbformat.NotebookNode:
    """Execute all cells in place, in a kernel of its own. What libraries log to standard error is left out.

    Args:
        notebook: what is executed.
        folder: the kernel's working folder.
        environment: the kernel's variables.

    Raises:
        CellExecutionError: a cell raised; the message has its traceback.
    """
    client = NotebookClient(
        notebook, timeout=_TIMEOUT_SECONDS, resources={"metadata": {"path": str(folder)}}, record_timing=False
    )
    client.execute(env=dict(environment))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                _without_machine(output, folder) for output in cell.outputs if output.get("name") != "stderr"
            ]
    return notebook


def _without_machine(output: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """An output that names files as a reader's would be named: in the current folder."""
    if "text" in output:
        output["text"] = output["text"].replace(f"{folder}/", "").replace("\r\n", "\n")
    return output


def page_from(notebook: nbformat.NotebookNode) -> str:
    """The notebook as a page of Markdown for the site, with its outputs, which have a style of their own."""
    return "\n\n".join(part for cell in notebook.cells for part in _parts(cell)) + "\n"


def _parts(cell: Mapping[str, Any]) -> Iterator[str]:
    source = cell["source"].strip()
    if cell["cell_type"] == "markdown":
        yield source
    elif cell["cell_type"] == "code":
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            yield _shown(output)


def _shown(output: Mapping[str, Any]) -> str:
    data = output.get("data", {})
    if "image/svg+xml" in data:
        picture = base64.b64encode(data["image/svg+xml"].encode()).decode()
        return f"![Output of the cell above](data:image/svg+xml;base64,{picture})"
    text = output.get("text") or data.get("text/plain", "")
    return f"```{{ .text .output }}\n{text.rstrip()}\n```"


def main() -> None:
    """Execute each notebook of the documentation, and keep its outputs."""
    for path in sorted(DOCS.rglob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            # A home of its own: the study is new, and nobody's paths are in the outputs.
            environment = os.environ | {"BANDSTAND_HOME": f"{folder}/home", "TF_CPP_MIN_LOG_LEVEL": "3"}
            notebook = execute(read(path), Path(folder), environment)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # nbformat has types for a part only


if __name__ == "__main__":
    main()
