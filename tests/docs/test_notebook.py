"""The notebook runs as it stands, and the outputs that readers see are those of a run."""

from __future__ import annotations

import copy
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat

from docs.generating.notebooks import execute, page_from

NOTEBOOK = Path(__file__).parents[2] / "docs/tutorials/notebook.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def kinds_of_outputs(notebook: nbformat.NotebookNode) -> list[tuple[str, list[str]]]:
    """What each cell shows: text, frames, pictures."""
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            shown.append((cell["id"], sorted(output.get("data", {})) or [output["output_type"]]))
    return shown


def test_the_notebook_runs_and_shows_what_is_stored(
    tmp_path: Path, environment_for: Callable[[Path], Mapping[str, str]]
) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    if not (os.environ.get("BROWSER_PATH") or any(map(shutil.which, BROWSERS))):
        stored.cells = [cell for cell in stored.cells if "needs-a-browser" not in cell.metadata.get("tags", ())]
    executed = execute(copy.deepcopy(stored), tmp_path, environment_for(tmp_path))
    assert kinds_of_outputs(executed) == kinds_of_outputs(stored)
    assert kinds_of_outputs(stored)


def test_the_stored_notebook_is_small_and_names_no_machine() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 200_000
    assert re.findall(r"(?:/tmp|/home|/root|/Users)/\w+", text) == []


def test_a_notebook_becomes_a_page() -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Title"),
            nbformat.v4.new_code_cell(
                "print(1)",
                outputs=[
                    nbformat.v4.new_output("stream", text="1\n"),
                    nbformat.v4.new_output("execute_result", data={"text/plain": "2", "text/html": "<b>2</b>"}),
                    nbformat.v4.new_output("display_data", data={"image/svg+xml": "ABC", "text/plain": "picture"}),
                ],
            ),
        ]
    )
    assert page_from(notebook) == (
        "# Title\n\n```python\nprint(1)\n```\n\n```{ .text .output }\n1\n```\n\n```{ .text .output }\n2\n```\n\n"
        "![Output of the cell above](data:image/svg+xml;base64,QUJD)\n"
    )
