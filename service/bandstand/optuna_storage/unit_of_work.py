"""From a call, or a batch of calls, to one transaction: what is loaded, held, queued, written, and given up on failure.

Knows when statements are run. Must not know Optuna's interface.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn, TypeVar

import psycopg
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial

from bandstand.errors import ForeignWriteError, StudyDeletedError
from bandstand.optuna_storage import reading, writing
from bandstand.optuna_storage.connection import Connection, StorageConnection
from bandstand.optuna_storage.internals import trial_id_of
from bandstand.optuna_storage.memory import StudyMemory
from bandstand.optuna_storage.pending import Pending

__all__ = ["UnitOfWork"]

_IDS_AT_ONCE = 100
"""Ids drawn from Optuna's sequence at once; those that are not used up when the process ends are lost, as ids are."""
_NOTHING = Pending()
T = TypeVar("T")


class UnitOfWork:
    """The state behind a storage: its studies, the batch under way, the connection.

    Its methods share one lock and one batch, and none is of use without the others: two classes would pass all of that
    to and fro.
    """

    def __init__(self, url: str, only_key: str | None = None):
        """Open a database whose tables Optuna's `RDBStorage` has made.

        Args:
            url: postgresql://…; a secret.
            only_key: the user attribute that is all that is kept of a finished trial, for a writer that reads nothing
                else of it: memory and reading then grow little with the study. None: everything is kept.
        """
        self._only_key = only_key
        self._database = StorageConnection(url)
        self._lock = threading.RLock()
        self._studies: dict[int, StudyMemory] = {}
        self._study_of: dict[int, int] = {}
        self._ids: list[int] = []
        self._pending: Pending | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled, because it holds the database's password and the other "
            "process would be a second writer; open one there instead"
        )

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Write what the calls in the block do in one transaction, when the block ends; only this thread's calls.

        If the block raises, or the writing fails, nothing of it is kept, neither in the database nor in memory: ids
        it has given out are unknown from then on. Keep the block short: once it has added a trial to a study, nobody
        else can. Batches do not nest, and a study cannot be deleted in one.

        Raises:
            RuntimeError: a batch in a batch.
            optuna.exceptions.DuplicatedStudyError: somebody else took the name of a study created in it.
        """
        with self._lock:
            if self._pending is not None:
                raise RuntimeError("a batch must not be begun inside another; end the first one")
            pending = self._pending = Pending()
            try:
                yield
                self._write(pending)
            except BaseException:
                self._database.roll_back()
                self._forget(pending.touched)
                raise
            finally:
                self._pending = None

    def hold(self, study_id: int, *, afresh: bool = False) -> None:
        """Keep everybody else from adding trials to a study until the batch ends, and learn of those they have added.

        Waits for a batch that somebody else has under way, a killed writer's last one among them.

        Args:
            study_id: the study.
            afresh: learn also of everything else that strangers did to it, as `refresh`; the batch must not have
                changed the study.

        Raises:
            KeyError: there is no such study.
            RuntimeError: outside of a batch.
        """
        with self._lock:
            pending = self._pending
            if pending is None:
                raise RuntimeError("a study is held until the batch ends; begin one first")
            if study_id in pending.studies or study_id in pending.held:
                return
            if afresh:
                self._forget([study_id])
                self._ask(lambda connection: reading.hold_study(connection, study_id, reading.LARGEST_ID))
            study = self._study(study_id)
            pending.touched.add(study_id)
            self._hold(study)
            pending.held[study_id] = (study.last_trial_id, self._database.generation)

    def refresh(self, study_id: int) -> None:
        """Read a study afresh, with all that strangers did to it, in a number of statements that is always the same.

        Raises:
            KeyError: there is no such study any more.
            RuntimeError: in a batch, whose changes would be lost.
        """
        with self._reading() as pending:
            if pending is not _NOTHING:
                raise RuntimeError("a study must not be refreshed inside a batch; do it before or after")
            self._forget([study_id])
            self._study(study_id)

    def close(self) -> None:
        """Give the connection back. The storage can be used again, and makes a new one then."""
        with self._lock:
            self._database.close()

    # -- what the interface is made of ------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Pending]:
        """A call that changes nothing; yields what a batch under way has queued."""
        with self._lock:
            if self._pending is not None:
                yield self._pending
                return
            try:
                yield _NOTHING
            finally:
                self._database.roll_back()

    @contextmanager
    def _writing(self) -> Iterator[Pending]:
        """A call that changes something: a batch of its own where none is under way."""
        with self._lock:
            if self._pending is not None:
                yield self._pending
                return
            with self.batch():
                assert self._pending is not None
                yield self._pending

    def _ask(self, question: Callable[[Connection], T]) -> T:
        try:
            return self._database.ask(question)
        except psycopg.Error as error:
            raise StorageInternalError(_words(error)) from error

    def _study(self, study_id: int) -> StudyMemory:
        study = self._studies.get(study_id)
        if study is None:
            study = self._ask(lambda connection: reading.load_study(connection, study_id, self._only_key))
            if study is None:
                raise KeyError(f"no study with id {study_id}")
            self._studies[study_id] = study
            self._study_of.update(dict.fromkeys(study.trials, study_id))
        return study

    def _trial(self, trial_id: int) -> tuple[StudyMemory, FrozenTrial]:
        study_id = self._study_of.get(trial_id)
        if study_id is None:
            study_id = self._ask(lambda connection: reading.find_study_of(connection, trial_id))
            if study_id is None:
                raise KeyError(f"no trial with id {trial_id}")
        study = self._study(study_id)
        if trial_id not in study.trials:
            self._load_newer(study)
        return study, study.trials[trial_id]

    def _updatable(self, trial_id: int) -> tuple[StudyMemory, FrozenTrial]:
        study, trial = self._trial(trial_id)
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(f"trial {trial.number} has finished and cannot be changed")
        return study, trial

    def _next_trial_id(self, study: StudyMemory) -> int:
        """An id larger than that of any trial of the study, whoever added it."""
        self.hold(study.study_id)
        if self._ids and self._ids[0] < study.last_trial_id:
            # A stranger has drawn since. Smaller ids are of no use: readers do not look for them any more.
            self._ids = [trial_id for trial_id in self._ids if trial_id > study.last_trial_id]
        if not self._ids:
            self._ids = self._ask(lambda connection: reading.draw_trial_ids(connection, _IDS_AT_ONCE))
        return self._ids.pop(0)

    # -- writing ----------------------------------------------------------------------------------------------------

    def _hold(self, study: StudyMemory) -> None:
        """Keep strangers from adding trials to a study, and take in those that they have added."""
        newer = self._ask(lambda connection: reading.hold_study(connection, study.study_id, study.last_trial_id))
        if newer is None:
            raise _deleted(study.name)
        if newer:
            self._load_newer(study)

    def _load_newer(self, study: StudyMemory) -> None:
        for trial in self._ask(
            lambda connection: reading.load_newer_trials(
                connection, study.study_id, study.last_trial_id, self._only_key
            )
        ):
            study.add(trial)
            self._study_of[trial_id_of(trial)] = study.study_id

    def _write(self, pending: Pending) -> None:
        if not pending.touched:
            self._database.roll_back()
            return

        def work(connection: Connection) -> None:
            _hold_again(connection, pending, self._database.generation)
            writing.write(connection, pending)

        try:
            self._database.commit(work)
        except psycopg.errors.UniqueViolation as error:
            raise DuplicatedStudyError(_words(error)) from None
        except (writing.OverwriteError, psycopg.errors.ForeignKeyViolation) as error:
            self._database.roll_back()
            raise self._reason(pending, error) from None
        except psycopg.Error as error:
            raise StorageInternalError(_words(error)) from error

    def _reason(self, pending: Pending, error: Exception) -> Exception:
        """Why somebody else's doing stands against a batch, which has been rolled back."""
        names = [self._studies[study_id].name for study_id in pending.touched]
        for study_id in pending.touched - pending.studies.keys():
            if not self._ask(partial(reading.study_exists, study_id=study_id)):
                return _deleted(self._studies[study_id].name)
        what = str(error) if isinstance(error, writing.OverwriteError) else "a trial of it was deleted"
        return ForeignWriteError(
            f"only this process may write study {', '.join(map(repr, names))}, but another one did ({what}): nothing "
            "was written; read the study again, then decide again"
        )

    def _delete(self, study_id: int) -> None:
        with self._reading() as pending:
            if pending is not _NOTHING:
                raise RuntimeError("a study must not be deleted inside a batch; do it before or after")
            if not self._ask(partial(reading.study_exists, study_id=study_id)):
                self._forget([study_id])
                raise KeyError(f"no study with id {study_id}")
            try:
                self._database.commit(lambda connection: writing.delete_study(connection, study_id))
            except psycopg.Error as error:
                raise StorageInternalError(_words(error)) from error
            finally:
                self._forget([study_id])

    def _forget(self, study_ids: Iterable[int]) -> None:
        """Have studies read afresh when next asked for."""
        for study_id in study_ids:
            study = self._studies.pop(study_id, None)
            for trial_id in () if study is None else study.trials:
                self._study_of.pop(trial_id, None)


def _hold_again(connection: Connection, pending: Pending, generation: int) -> None:
    """Where a connection broke, what it held has been let go: hold it again, if nobody has used the moment.

    Args:
        connection: the one of this generation.
        pending: the batch that is to be written.
        generation: counts the connections that there have been.
    """
    for study_id, (last_id, held_in) in pending.held.items():
        if held_in == generation:
            continue
        newer = reading.hold_study(connection, study_id, last_id)
        if newer is None or not pending.new_trials.keys() >= set(newer):
            raise writing.OverwriteError("a trial was added to it")


def _deleted(name: str) -> StudyDeletedError:
    return StudyDeletedError(
        f"a study must be in Optuna's tables to be written; {name!r} was deleted by another process, and nothing was "
        "written: create it again"
    )


def _words(error: psycopg.Error) -> str:
    """The server's own words, without the statement."""
    return error.diag.message_primary or str(error)
