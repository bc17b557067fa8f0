"""A page that is run: its folder, and what is done with each of its blocks there.

Knows what each language stands for. Must not know which pages there are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bandstand.errors import InputError
from tests.docs.harness.blocks import Block, blocks_of
from tests.docs.harness.python_session import PythonSession
from tests.docs.harness.shell import Shell
from tests.docs.harness.study_fragments import USUAL_STUDY, check_fragment

__all__ = ["PageRun", "run_page"]

FOR_READERS = ("text", "json", "csv", "yaml")
"""Languages of output and data: nothing to run."""
TIMEOUT_SECONDS = 300.0
READY_SECONDS = 60.0


class PageRun:
    """One page in a folder of its own.

    Args:
        folder: an empty one.
        environment: variables of all that is run.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        self._folder = folder / "page"
        self._notes = folder / "notes"
        self._folder.mkdir()
        self._notes.mkdir()
        self._environment = environment
        self._shell = Shell(self._folder, environment, self._notes)
        self._python: PythonSession | None = None
        self._study: Mapping[str, Any] = USUAL_STUDY

    def __enter__(self) -> PageRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._python is not None:
            self._python.close()
        self._shell.close()

    def run(self, block: Block) -> None:
        """Do with a block what its language and marks say.

        Raises:
            BlockError: it fails, or nobody has said what is to be done with it.
        """
        if block.marks.not_run:
            return
        if block.file:
            self._write(block, block.file)
        elif block.language == "python":
            self._execute(block)
        elif block.language == "toml":
            self._check(block)
        elif block.language in ("console", "bash"):
            self._run_in_shell(block)
        elif block.language not in FOR_READERS:
            raise block.error(
                "a block must be one of python, toml, console, bash, "
                f"{', '.join(FOR_READERS)}, or have a comment `not run: REASON`; got {block.language or 'no language'}"
            )

    def _write(self, block: Block, name: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code)
        if block.language == "toml":
            try:
                settings = tomllib.loads(block.code)
            except tomllib.TOMLDecodeError as error:
                raise block.error(f"this is no TOML: {error}") from None
            if "max_epochs" in settings:
                self._study = settings

    def _execute(self, block: Block) -> None:
        if self._python is None:
            self._python = PythonSession(self._folder, self._environment, self._notes / "python.log")
        done, output = self._python.execute(block.code, block.page, block.line, TIMEOUT_SECONDS)
        if not done:
            raise block.error("the Python block fails", output)

    def _check(self, block: Block) -> None:
        try:
            check_fragment(block.code, self._study)
        except InputError as error:
            raise block.error(f"these settings are not valid in the page's study: {error}") from None

    def _run_in_shell(self, block: Block) -> None:
        if any(line.lstrip().startswith("$ ") for line in block.text.splitlines()):
            raise block.error("a console block has commands alone: without a prompt, and their output in a text block")
        if block.marks.background_until is not None:
            ready, output = self._shell.start(block.code, block.marks.background_until, READY_SECONDS)
            if not ready:
                raise block.error(f"no line has {block.marks.background_until!r} within {READY_SECONDS:g} s", output)
            return
        code, output = self._shell.run(block.code, TIMEOUT_SECONDS)
        if code is None:
            raise block.error(f"the commands take longer than {TIMEOUT_SECONDS:g} s", output)
        if code != block.marks.exit_code:
            raise block.error(f"the exit code must be {block.marks.exit_code}; it is {code}", output)


def run_page(text: str, page: str, folder: Path, environment: Mapping[str, str], *, slow: bool = False) -> int:
    """Run the blocks of a page from top to bottom.

    Args:
        text: the page's Markdown.
        page: its name, for messages.
        folder: an empty one.
        environment: variables of all that is run.
        slow: run those that are marked slow, too.

    Returns:
        How many blocks there were to run.

    Raises:
        BlockError: the first block that fails.
    """
    blocks = [block for block in blocks_of(text, page) if slow or not block.marks.slow]
    with PageRun(folder, environment) as run:
        for block in blocks:
            run.run(block)
    return len(blocks)
