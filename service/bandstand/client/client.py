"""A server, as its user holds it.

Knows what may be asked of a server. Must not know how requests travel, nor how code is packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandstand.client.answers import Me, Submitted, record_from, spec_from
from bandstand.client.code_upload import send_code
from bandstand.client.comparison import RemoteComparison
from bandstand.client.connection import Connection, path_of
from bandstand.client.login import find_login
from bandstand.client.packing import PackedStudy, pack_study
from bandstand.client.study import RemoteStudy
from bandstand.errors import ComparisonNotFoundError, InputError, StudyNameTakenError, StudyNotFoundError
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.study.users_code.user_modules import stop_script

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client"]

_PAGE = 200


class Client:
    """A server.

    Raises, from any method:
        NotLoggedInError: the server wants a token, and this one is not good.
        NotAllowedError: the token's role does not allow it.
        TooManyRequestsError: it was asked too often, even after waiting.
        ServerUnreachableError: it does not answer, even after waiting.
        ServerAnswerError: what answers is no Bandstand server, or one of another version.
        ServerMistakeError: it says that it made a mistake.
    """

    def __init__(self, url: str | None = None, *, token: str | None = None, retry_seconds: float = 90.0):
        """Asks nothing yet.

        Args:
            url: of the server; else BANDSTAND_URL, else where `bandstand login` was last.
            token: else BANDSTAND_TOKEN, else what `bandstand login` has kept for this server.
            retry_seconds: how long to try again what may be asked twice, when the server is away or too busy.

        Raises:
            InputError: there is no server, or its URL is none.
        """
        login = find_login(url, token)
        if login is None:
            raise InputError(
                "a server must be named; none is: give its URL, set BANDSTAND_URL, or `bandstand login URL`"
            )
        self._connection = Connection(login.url, login.token, retry_seconds)

    @property
    def url(self) -> str:
        """Of the server."""
        return self._connection.url

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._connection.close()

    def me(self) -> Me:
        """Whose token this is, and what it allows."""
        return record_from(Me, self._connection.get("/me"))

    # -- studies ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        spec: StudySpec | Mapping[str, Any],
        *,
        code: str | Path | None = None,
        workers: int | None = None,
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        code_path: Sequence[str | Path] | None = None,
        say: Callable[[str], None] = print,
    ) -> RemoteStudy:
        """Have the server run a study. The same again is the same study.

        Args:
            spec: the study; a dict is read like a study file. Its functions may be of a notebook.
            code: the folder of the project, all of which is sent; left out, the Python files beside the study's modules
                are, unless they are installed.
            workers: trainers at the same time; as many as the cluster has room for when left out.
            priority: the higher, the sooner.
            labels: that a node must have to run it.
            code_path: folders in which modules are looked for; the running script's and the current one when left out.
            say: is told what goes along, a line each.

        Raises:
            InputError: the study cannot be run as it stands, or its code cannot be packed.
            StudyNameTakenError: the name belongs to a study with other settings or other code; `differences` has them.
        """
        stop_script("Client.submit")
        packed = pack_study(_spec(spec), code, code_path)
        there = path_of("studies", packed.spec.name)
        body = self._order(packed, there, workers, priority, labels, say)
        self._connection.post("/studies", body, repeatable=True)
        return RemoteStudy(self._connection, packed.spec.name)

    def compare(
        self,
        spec: StudySpec | Mapping[str, Any],
        strategies: Sequence[str] = (),
        *,
        repeats: int = 5,
        name: str | None = None,
        code: str | Path | None = None,
        workers: int | None = None,
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        code_path: Sequence[str | Path] | None = None,
        say: Callable[[str], None] = print,
    ) -> RemoteComparison:
        """Have the server compare strategies at the budget of a study. More strategies or repeats extend it.

        Args:
            spec: what all studies share.
            strategies: such as `tpe+asha`; the spec's own when left out. Random and grid search are always among them.
            repeats: studies of each strategy, a seed each.
            name: the spec's with -comparison when left out.
            code: this and the others as of `submit`.
            workers: as of `submit`.
            priority: as of `submit`.
            labels: as of `submit`.
            code_path: as of `submit`.
            say: as of `submit`.

        Raises:
            InputError, StudyNameTakenError: as `submit`.
            StudyInUseError: it runs, so that it cannot be extended now.
        """
        stop_script("Client.compare")
        packed = pack_study(_spec(spec), code, code_path)
        name = name or f"{packed.spec.name}-comparison"
        body = self._order(packed, path_of("comparisons", name), workers, priority, labels, say)
        body |= {"strategies": list(strategies), "repeats": repeats, "name": name}
        self._connection.post("/comparisons", body, repeatable=True)
        return RemoteComparison(self._connection, name)

    def comparison(self, name: str) -> RemoteComparison:
        """A comparison that is there.

        Raises:
            ComparisonNotFoundError: there is none of this name.
        """
        comparison = RemoteComparison(self._connection, name)
        comparison.detail()
        return comparison

    def comparisons(self) -> list[dict[str, Any]]:
        """All comparisons as the server tells them, the newest first."""
        return list(self._pages("/comparisons", "comparisons"))

    def _order(
        self,
        packed: PackedStudy,
        there: str,
        workers: int | None,
        priority: int,
        labels: Mapping[str, str] | None,
        say: Callable[[str], None],
    ) -> dict[str, Any]:
        """What is asked of the server, with the code sent."""
        for note in packed.notes:
            say(note)
        return {
            "spec": packed.spec.model_dump(mode="json"),
            "code": self._kept(packed, there) or send_code(self._connection, packed.archive),
            "workers": workers,
            "priority": priority,
            "labels": dict(labels or {}),
        }

    def _pages(self, path: str, what: str, **params: str | None) -> Iterator[dict[str, Any]]:
        after = None
        while True:
            page = self._connection.get(path, after=after, limit=_PAGE, **params)
            yield from page[what]
            after = page.get("next")
            if after is None:
                return

    def _kept(self, packed: PackedStudy, path: str) -> str | None:
        """The code of the same study, if that was submitted before with the same functions of a notebook.

        Their pickle is not the same from one process to another, the name of their module is.
        """
        if packed.notebook is None:
            return None
        answer = self._connection.request("GET", path, missing_ok=True)
        if answer.status_code == 404:
            return None
        there = record_from(Submitted, answer.json())
        stored = spec_from(there.spec)
        if _functions(stored) != _functions(packed.spec):
            raise StudyNameTakenError(
                f"a name belongs to one study with its code; the functions of {stored.name!r}, or what they use, are "
                "not those that it was submitted with: give this one a new name",
                packed.spec.differences(stored),
            )
        return there.submission.code if there.submission is not None else None

    def study(self, name: str) -> RemoteStudy:
        """A study that is there.

        Raises:
            StudyNotFoundError: there is none of this name.
        """
        study = RemoteStudy(self._connection, name)
        study.detail()
        return study

    def find(self, name: str) -> RemoteStudy | RemoteComparison:
        """A study or a comparison that is there.

        Raises:
            StudyNotFoundError: there is neither of this name.
        """
        try:
            return self.study(name)
        except StudyNotFoundError as missing:
            try:
                return self.comparison(name)
            except ComparisonNotFoundError:
                raise missing from None

    def studies(self, state: str | None = None, submitter: str | None = None) -> pd.DataFrame:
        """A row per study, the newest first: name, state, metric, trials, epochs, best_value, submitter, …

        Args:
            state: only those in this state.
            submitter: only this user's.
        """
        import pandas as pd

        return pd.DataFrame(list(self.iter_studies(state, submitter)))

    def iter_studies(self, state: str | None = None, submitter: str | None = None) -> Iterator[dict[str, Any]]:
        """The same, as the server tells them, page by page."""
        return self._pages("/studies", "studies", state=state, submitter=submitter)


def _functions(spec: StudySpec) -> tuple[str, ...]:
    return (spec.model, spec.data, *spec.callbacks)


def _spec(spec: StudySpec | Mapping[str, Any]) -> StudySpec:
    return spec if isinstance(spec, StudySpec) else study_spec_from(spec, "study")
