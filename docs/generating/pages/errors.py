"""Every error by its cause, with the exit code and the HTTP status, from the classes themselves."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Iterator

from bandstand.errors import INTERRUPTED, BandstandError, InternalError, PassingError, UserError, answer_to
from docs.generating.markdown import code, page, table

__all__ = ["make"]

_CAUSES = (
    (
        UserError,
        "The user corrects it: a study file, a name, a token. The same command fails again until something is changed.",
    ),
    (PassingError, "It passes by itself: the database or the cluster is away, or a study is in use. Ask again later."),
    (InternalError, "It is a bug. The message or the server's log has the details."),
)
_IN_PYTHON = """```python
# patient.py
import time

from bandstand import PassingError, StudyResult, StudySpec, run_study


def run_patiently(study: StudySpec) -> StudyResult:
    while True:
        try:
            return run_study(study)
        except PassingError as error:
            print(error, "Next try in ten minutes.")
            time.sleep(600)
```"""


def make() -> str:
    """The page."""
    return page(
        "Errors",
        "Each error of Bandstand has one of three causes. The cause says whether it helps to ask again. The command "
        "line "
        "and the server answer by the same table.",
        *(f"## `{cause.__name__}`\n\n{about}\n\n{_errors(cause)}" for cause, about in _CAUSES),
        "## Exit codes",
        table(
            ("exit code", "meaning"),
            (
                ("0", "The command did what it was asked."),
                ("1", "A study ran and failed, or there is a bug. A Python traceback ends with 1, too."),
                ("2", "The user can correct the error."),
                ("75", "The error passes by itself. A script may run the same command again later (`EX_TEMPFAIL`)."),
                (str(INTERRUPTED), "Ctrl-C, as in a shell. It is no error."),
                (str(128 + signal.SIGTERM), "SIGTERM, which does what Ctrl-C does. It is no error."),
            ),
        ),
        "A job on a Ray cluster ends with the same exit codes. The server tries it again, unless the job's input was "
        "refused. The server also answers with statuses of HTTP's own, such as 413 for a body that is too large.",
        "## In Python",
        "A script that waits, and asks again where that helps:",
        _IN_PYTHON,
    )


def _errors(cause: type[BandstandError]) -> str:
    rows = (
        (code(kind.__name__), str(answer_to(kind).exit_code), str(answer_to(kind).status), inspect.getdoc(kind) or "")
        for kind in (cause, *_below(cause))
    )
    return table(("error", "exit code", "HTTP status", "meaning"), rows)


def _below(kind: type[BandstandError]) -> Iterator[type[BandstandError]]:
    for each in kind.__subclasses__():
        if each.__module__ == BandstandError.__module__:
            yield each
            yield from _below(each)
