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
    """A connection to a Bandstand server.

    Raises, from any method:
        NotLoggedInError: the token is missing or not valid.
        NotAllowedError: the role of the token does not allow it.
        TooManyRequestsError: there were too many requests, even after waiting.
        ServerUnreachableError: the server does not answer, even after waiting.
        ServerAnswerError: the URL is not a Bandstand server's, or the server has another version.
        ServerMistakeError: the server reports a mistake of its own.

    Example:
        >>> from bandstand import Client
        >>> with Client("https://bandstand.example", token="bandstand_…") as client:  # doctest: +SKIP
        ...     study = client.submit(spec)
        ...     study.watch()
        ...     print(study.best.params)
    """

    def __init__(self, url: str | None = None, *, token: str | None = None, retry_seconds: float = 90.0):
        """This does not ask the server yet.

        Args:
            url: URL of the server. Default: BANDSTAND_URL, or the server that you logged in to.
            token: token of the user. Default: BANDSTAND_TOKEN, or the token of your login to this server.
            retry_seconds: seconds for which a request is repeated if the server is away or too busy. Only requests
                that can safely be repeated are.

        Raises:
            InputError: no server is named, or the URL is not valid.
        """
        login = find_login(url, token)
        if login is None:
            raise InputError(
                "this needs a server; got none: give its URL (--url URL in a command), set "
                "BANDSTAND_URL, or run `bandstand login URL`"
            )
        self._connection = Connection(login.url, login.token, retry_seconds)

    @property
    def url(self) -> str:
        """URL of the server."""
        return self._connection.url

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def me(self) -> Me:
        """Get the user, the role and the end of the token."""
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
        """Submit a study. Submitting it again has no effect.

        Args:
            spec: the study. A dict is read like a study file. Functions may come from a notebook.
            code: folder to send as the study's code. Default: the Python files beside the modules that the study names,
                unless these are installed packages.
            workers: number of trainers that work at the same time. Default: as many as fit on the cluster.
            priority: submissions with a higher number run sooner.
            labels: labels that a node must have to run the study.
            code_path: folders that hold the modules. Default: the folder of the running script and the current one.
            say: called with each line about the code that is sent.

        Raises:
            InputError: a setting breaks a rule, or the code cannot be packed.
            StudyNameTakenError: the name belongs to a study with other settings or code. `differences` lists them.
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
        """Submit a comparison of strategies. Submitting it again with more strategies or repeats extends it.

        Args:
            spec: the settings that all studies share. Its budget is the budget of each study.
            strategies: such as `tpe+asha`. Default: the spec's own strategy. Random and grid search always take part.
            repeats: number of studies per strategy, each with its own seed.
            name: name of the comparison. Default: the spec's name with -comparison.
            code: as in `submit`, like the other arguments.
            workers: as in `submit`.
            priority: as in `submit`.
            labels: as in `submit`.
            code_path: as in `submit`.
            say: as in `submit`.

        Raises:
            InputError, StudyNameTakenError: as in `submit`.
            StudyInUseError: the comparison is running, so it cannot be extended now.
        """
        stop_script("Client.compare")
        packed = pack_study(_spec(spec), code, code_path)
        name = name or f"{packed.spec.name}-comparison"
        body = self._order(packed, path_of("comparisons", name), workers, priority, labels, say)
        body |= {"strategies": list(strategies), "repeats": repeats, "name": name}
        self._connection.post("/comparisons", body, repeatable=True)
        return RemoteComparison(self._connection, name)

    def comparison(self, name: str) -> RemoteComparison:
        """Get a comparison by its name.

        Raises:
            ComparisonNotFoundError: no comparison has this name.
        """
        comparison = RemoteComparison(self._connection, name)
        comparison.detail()
        return comparison

    def comparisons(self) -> list[dict[str, Any]]:
        """List all comparisons, the newest first, as the server describes them."""
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
                f"a name belongs to one study with its code; {stored.name!r} was submitted with other functions, or "
                "they use other things now: give this one a new name",
                packed.spec.differences(stored),
            )
        return there.submission.code if there.submission is not None else None

    def study(self, name: str) -> RemoteStudy:
        """Get a study by its name.

        Raises:
            StudyNotFoundError: no study has this name.
        """
        study = RemoteStudy(self._connection, name)
        study.detail()
        return study

    def find(self, name: str) -> RemoteStudy | RemoteComparison:
        """Get a study or a comparison by its name.

        Raises:
            StudyNotFoundError: nothing has this name.
        """
        try:
            return self.study(name)
        except StudyNotFoundError as missing:
            try:
                return self.comparison(name)
            except ComparisonNotFoundError:
                raise missing from None

    def studies(self, state: str | None = None, submitter: str | None = None) -> pd.DataFrame:
        """List studies, the newest first, one row each: name, state, metric, trials, epochs, best_value, submitter, …

        Args:
            state: list only studies in this state.
            submitter: list only studies of this user.
        """
        import pandas as pd

        return pd.DataFrame(list(self.iter_studies(state, submitter)))

    def iter_studies(self, state: str | None = None, submitter: str | None = None) -> Iterator[dict[str, Any]]:
        """List the same studies as dicts, page by page, as the server describes them."""
        return self._pages("/studies", "studies", state=state, submitter=submitter)


def _functions(spec: StudySpec) -> tuple[str, ...]:
    return (spec.model, spec.data, *spec.callbacks)


def _spec(spec: StudySpec | Mapping[str, Any]) -> StudySpec:
    return spec if isinstance(spec, StudySpec) else study_spec_from(spec, "study")
