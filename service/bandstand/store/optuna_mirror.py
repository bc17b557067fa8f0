"""Optuna's own tables, kept in step with a study.

Optuna Dashboard and any Optuna script read them. They follow the event log, which is the truth: what a killed writer
left out is made up for when the study is taken up again. Knows Optuna. Must not know our tables.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from bandstand.errors import DatabaseVersionError, StudyNameTakenError
from bandstand.store.rows.event_rows import best_from, clean_text
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Ended, Event, Lost, Measured, Paused, Proposed, Started, TrialState
from bandstand.trials.history import History, Trial

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from bandstand.optuna_storage import SoleWriterStorage

__all__ = ["OptunaMirror", "open_storage"]

NUMBER = "bandstand:trial"
"""User attribute that holds our number of a trial; Optuna's is the same unless somebody else adds trials."""
BEST = "bandstand:best"
"""User attribute of the study: trial, value, epoch and state of its best trial, by the rule of `bandstand.trials.best`.

Optuna's own `best_trial` counts complete trials only.
"""


class OptunaMirror:
    """One study in Optuna's tables. It is this study's only writer there, which keeps Optuna's cost flat."""

    def __init__(self, url: str, spec: StudySpec):
        """`url` is a secret."""
        self._url = url
        self._spec = spec
        self._storage: SoleWriterStorage | None = None
        self._study_id = -1
        self._distributions = spec.space.distributions()
        self._ids: dict[int, int] = {}
        self._best: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Open Optuna's tables, which takes as long as a short training the first time in a process; writes no study.

        Raises:
            DatabaseVersionError: as `create_study`.
        """
        self._open()

    def create_study(self) -> int:
        """Create the study in Optuna's tables; returns its id there.

        Raises:
            StudyNameTakenError: an Optuna study of this name exists that is not ours.
            DatabaseVersionError: Optuna's tables belong to another version of Optuna.
        """
        import optuna

        storage = self._open()
        direction = optuna.study.StudyDirection[self._spec.objective.direction.upper()]
        try:
            with storage.batch(), warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._study_id = storage.create_new_study([direction], self._spec.name)
                for key in ("sampler", "pruner", "max_epochs", "seed", "model", "data"):
                    storage.set_study_user_attr(self._study_id, f"bandstand:{key}", getattr(self._spec, key))
                study = optuna.load_study(study_name=self._spec.name, storage=storage)
                study.set_metric_names([self._spec.objective.metric])  # the dashboard's axes then say what they show
        except optuna.exceptions.DuplicatedStudyError:
            self._study_id = storage.get_study_id_from_name(self._spec.name)
            if not self._is_half_made(storage):
                raise StudyNameTakenError(
                    f"a name belongs to one study; this database has an Optuna study {self._spec.name!r} that "
                    "Bandstand did not make: give this one a new name"
                ) from None
        return self._study_id

    def _is_half_made(self, storage: SoleWriterStorage) -> bool:
        """Whether the study there is ours, by somebody who was killed before our own tables had it."""
        ours = "bandstand:model" in storage.get_study_user_attrs(self._study_id)
        return ours and not storage.get_all_trials(self._study_id, deepcopy=False)

    def catch_up(self, history: History) -> None:
        """Make Optuna's tables say what the history says; creates the study again if somebody deleted it."""
        storage = self._open()
        try:
            self._study_id = storage.get_study_id_from_name(self._spec.name)
            with storage.batch():
                # A killed predecessor's last batch may be on its way still, and the dashboard may have written.
                storage.hold(self._study_id, afresh=True)
        except KeyError:
            self.create_study()
        with storage.batch():
            self._catch_up(storage, history)

    def _catch_up(self, storage: SoleWriterStorage, history: History) -> None:
        from bandstand.optuna_storage.internals import trial_id_of

        self._best = storage.get_study_user_attrs(self._study_id).get(BEST)
        known = {
            trial.user_attrs.get(NUMBER): trial for trial in storage.get_all_trials(self._study_id, deepcopy=False)
        }
        for trial in history.trials:
            there = known.get(trial.number)
            if there is None:
                self._create(trial.number, trial)
            else:
                self._ids[trial.number] = trial_id_of(there)
            if there is not None and there.state.is_finished():
                continue
            done = set() if there is None else set(there.intermediate_values)
            for epoch, value in enumerate(trial.values, start=trial.from_epoch + 1):
                if epoch not in done:
                    storage.set_trial_intermediate_value(self._ids[trial.number], epoch, value)
            if trial.state.is_final:
                self._end(trial.number, _standing(trial, history))
            else:
                self._set_running(trial.number, trial.state is TrialState.RUNNING)
        self._tell_best(storage, best_from(history))

    def follow(
        self, events: Iterable[Event], trials: Mapping[int, Mapping[str, Any]], best: Mapping[str, Any] | None
    ) -> None:
        """Do what a batch of events means, in one transaction.

        Args:
            events: the batch.
            trials: the rows of its trials, as of its end.
            best: the study's best trial then, as `best_from` has it.
        """
        storage = self._open()
        with storage.batch():
            for event in events:
                match event:
                    case Proposed():
                        self._create(event.trial, event)
                    case Started():
                        self._set_running(event.trial, True)
                    case Paused() | Lost():
                        self._set_running(event.trial, False)
                    case Measured() if event.value is not None:
                        storage.set_trial_intermediate_value(self._ids[event.trial], event.epoch, event.value)
                    case Ended():
                        self._end(event.trial, trials[event.trial])
                    case _:
                        pass
            self._tell_best(storage, best)

    def _tell_best(self, storage: SoleWriterStorage, best: Mapping[str, Any] | None) -> None:
        if best is not None and best != self._best and self._study_id >= 0:  # else nobody has looked it up yet
            storage.set_study_user_attr(self._study_id, BEST, dict(best))
            self._best = best

    def close(self) -> None:
        """Give the connection back."""
        if self._storage is not None:
            self._storage.close()

    @classmethod
    def upgrade(cls, url: str) -> None:
        """Bring Optuna's tables up to the installed Optuna."""
        from bandstand.optuna_storage.schema import quiet_migrations

        with quiet_migrations():
            open_storage(url, skip_compatibility_check=True).upgrade()

    def _open(self) -> SoleWriterStorage:
        if self._storage is None:
            import optuna

            from bandstand.optuna_storage import SoleWriterStorage

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                self._storage = SoleWriterStorage.open(self._url, NUMBER)
            except RuntimeError:
                raise DatabaseVersionError(
                    "Optuna's tables must belong to the installed Optuna; they were made by another version: "
                    "run `bandstand db upgrade`, or install the Optuna that made them"
                ) from None
        return self._storage

    def _create(self, number: int, made: Proposed | Trial) -> None:
        import optuna

        attributes: dict[str, Any] = {NUMBER: number, "bracket": made.bracket}
        if made.parent is not None:
            attributes |= {"parent": made.parent, "from_epoch": made.from_epoch, "origin": made.origin or ""}

        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=dict(made.params),
            distributions={name: self._distributions[name] for name in made.params},
            user_attrs=attributes,
        )
        self._ids[number] = self._open().create_new_trial(self._study_id, template_trial=template)

    def _set_running(self, number: int, running: bool) -> None:
        from optuna.trial import TrialState as OptunaState

        state = OptunaState.RUNNING if running else OptunaState.WAITING
        if self._open().get_trial(self._ids[number]).state is not state:
            self._open().set_trial_state_values(self._ids[number], state)

    def _end(self, number: int, row: Mapping[str, Any]) -> None:
        """Attributes first: Optuna lets nothing of a finished trial be changed."""
        from optuna.trial import TrialState as OptunaState

        storage, trial_id = self._open(), self._ids[number]
        for key in ("reason", "message", "epochs", "best_epoch"):
            if row[key] != "":
                storage.set_trial_user_attr(trial_id, key, row[key])
        results = {TrialState.COMPLETE: OptunaState.COMPLETE, TrialState.PRUNED: OptunaState.PRUNED}
        state = results.get(row["state"], OptunaState.FAIL)
        value = row["value"]
        usable = state is not OptunaState.FAIL and value is not None and isfinite(value)
        storage.set_trial_state_values(trial_id, state, [value] if usable else None)


def _standing(trial: Trial, history: History) -> dict[str, Any]:
    return {
        "state": str(trial.state),
        "reason": trial.reason or "",
        "message": clean_text(trial.message or ""),
        "epochs": trial.epochs,
        "best_epoch": trial.best_epoch,
        "value": history.value_of(trial),
    }


def open_storage(url: str, **options: Any) -> RDBStorage:
    """Optuna's storage on a database; `url` is a secret."""
    import optuna

    from bandstand.optuna_storage.schema import driver_url

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.storages.RDBStorage(driver_url(url), engine_kwargs={"pool_pre_ping": True}, **options)
