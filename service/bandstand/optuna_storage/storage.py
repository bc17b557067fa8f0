"""The storage: Optuna's interface over memory, with every change also queued as rows.

Knows the order in which things happen: check, remember, queue, write. Must not know a statement.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any, Self

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_storage import reading, values
from bandstand.optuna_storage.internals import DEFAULT_STUDY_NAME_PREFIX, FrozenStudy, study_id_of
from bandstand.optuna_storage.memory import StudyMemory, brief, changed
from bandstand.optuna_storage.schema import make_tables
from bandstand.optuna_storage.trials import drafted, numbered
from bandstand.optuna_storage.unit_of_work import UnitOfWork

__all__ = ["SoleWriterStorage"]


class SoleWriterStorage(UnitOfWork, BaseStorage):
    """Optuna's PostgreSQL tables for the one process that writes certain studies; see `batch` for writing fast.

    Other studies of the database may have other writers, and these may be read, not written, by anybody. What
    strangers do to a study of this process nevertheless, and what becomes of it:

    ======================================  ==========================================================================
    a stranger                              this storage
    ======================================  ==========================================================================
    reads                                   every batch wholly or not at all, in the order of its being written
    adds a trial                            sees it when it next adds one itself, which gets the number and id after it
    sets an attribute of the study          sees it on `refresh`; keeps it: a call that sets the key unseen is refused
    finishes or deletes an unfinished       refuses to write of that trial, and sees what it is now from then on
    trial
    changes other things of a trial         sees it on `refresh`; where both set the same cell, the last one wins
    deletes the study, or renames it, as    refuses to write
    the dashboard does, by copying it and
    deleting the original
    ======================================  ==========================================================================

    A refused call or batch has written nothing, and the studies it was about are read afresh when next asked for.
    `get_all_studies` and `get_study_id_from_name` always ask the database. Heartbeats are not supported.

    It has a method for each of Optuna's interface, which is why there are so many.

    Thread-safe; while a thread is in a batch, the others wait. Not to be carried into a forked process, and not to be
    pickled. Beside what Optuna's interface says, any method raises:

    Raises:
        StudyDeletedError: somebody else deleted the study that was to be written.
        ForeignWriteError: somebody else finished a trial or set an attribute that was to be written.
        DatabaseUnreachableError: there was no answer, also not on a second connection.
        optuna.exceptions.StorageInternalError: the database refused a value, such as a text with NUL or a key of more
            than 512 characters.
    """

    @classmethod
    def open(cls, url: str, only_key: str | None = None) -> Self:
        """The storage on a database, where Optuna's tables are made if there are none.

        Args:
            url: postgresql://…; a secret.
            only_key: as of `UnitOfWork`: what is kept of a finished trial, where that is not everything.

        Raises:
            RuntimeError: the tables belong to another version of Optuna.
            DatabaseUnreachableError: the database does not answer.
        """
        storage = cls(url, only_key)
        with storage._reading():
            storage._ask(lambda _: None)  # whether it answers, in our own words
        make_tables(url)
        return storage

    # -- studies ----------------------------------------------------------------------------------------------------

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """See Optuna. In a batch, a name that a stranger takes meanwhile is noticed at the batch's end."""
        name = f"{DEFAULT_STUDY_NAME_PREFIX}{uuid.uuid4()}" if study_name is None else study_name
        with self._writing() as pending:
            if name in (taken for taken, _ in pending.studies.values()):
                raise DuplicatedStudyError(name)
            study_id = self._ask(lambda connection: reading.reserve_study(connection, name))
            if study_id is None:
                raise DuplicatedStudyError(name)
            pending.add_study(study_id, name, tuple(directions))
            self._studies[study_id] = StudyMemory(study_id=study_id, name=name, directions=directions)
        return study_id

    def delete_study(self, study_id: int) -> None:
        """See Optuna. Not in a batch, which only adds."""
        self._delete(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        self._set_study_attr("user", study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        self._set_study_attr("system", study_id, key, value)

    def _set_study_attr(self, kind: str, study_id: int, key: str, value: Any) -> None:
        text = values.attribute_to_json(value)
        with self._writing() as pending:
            study = self._study(study_id)
            attrs = study.user_attrs if kind == "user" else study.system_attrs
            pending.set_study_attr(kind, study_id, key, text, attrs.get(key))
            attrs[key] = text

    def get_study_id_from_name(self, study_name: str) -> int:
        """See Optuna. Asks the database."""
        with self._reading() as pending:
            new = {name: study_id for study_id, (name, _) in pending.studies.items()}
            study_id = new.get(study_name)
            if study_id is None:
                study_id = self._ask(lambda connection: reading.find_study(connection, study_name))
            if study_id is None:
                raise KeyError(f"no study {study_name!r}")
            return study_id

    def get_study_name_from_id(self, study_id: int) -> str:
        """See Optuna."""
        with self._reading():
            return self._study(study_id).name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """See Optuna."""
        with self._reading():
            return list(self._study(study_id).directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """See Optuna."""
        with self._reading():
            return self._study(study_id).frozen().user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """See Optuna."""
        with self._reading():
            return self._study(study_id).frozen().system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        """See Optuna. Asks the database, in a fixed number of statements."""
        with self._reading() as pending:
            stored = {study_id_of(study): study for study in self._ask(reading.load_studies)}
            ours = {study_id: self._study(study_id).frozen() for study_id in pending.touched}
            return [study for _, study in sorted((stored | ours).items())]

    # -- trials -----------------------------------------------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """See Optuna."""
        with self._writing() as pending:
            study = self._study(study_id)
            trial, internal = drafted(template_trial)
            study.check_compatible(trial.distributions.items())
            trial_id = self._next_trial_id(study)
            trial = numbered(trial, trial_id, study.next_number)
            pending.add_trial(study_id, trial)
            for name, (value, text) in internal.items():
                pending.params[trial_id, name] = (value, text)
            pending.set_values(trial_id, trial.values or ())
            for step, value in trial.intermediate_values.items():
                pending.set_intermediate_value(trial_id, step, value)
            for kind, attrs in (("user", trial.user_attrs), ("system", trial.system_attrs)):
                for key, attr in attrs.items():
                    pending.trial_attrs[kind][trial_id, key] = values.attribute_to_json(attr)
            study.add(trial)
            self._study_of[trial_id] = study_id
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """See Optuna. As in `RDBStorage`, a parameter that the trial has already stays as it is."""
        with self._writing() as pending:
            study, trial = self._updatable(trial_id)
            study.check_compatible([(param_name, distribution)])
            if param_name in trial.distributions:
                return
            text = values.distribution_to_json(distribution)
            pending.touch_trial(study.study_id, trial_id)
            pending.params[trial_id, param_name] = (float(param_value_internal), text)
            stored = values.distribution_from_json(text)
            params = trial.params | {param_name: stored.to_external_repr(float(param_value_internal))}
            study.replace(changed(trial, params=params, distributions=trial.distributions | {param_name: stored}))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See Optuna. As in `RDBStorage`, values are kept even where the state is not changed."""
        with self._writing() as pending:
            study, trial = self._updatable(trial_id)
            now = datetime.now()
            if values is not None:
                pending.touch_trial(study.study_id, trial_id)
                pending.set_values(trial_id, values)
                trial = changed(trial, values=[float(value) for value in values])
                study.replace(trial)
            if state is TrialState.RUNNING and trial.state is not TrialState.WAITING:
                return False
            pending.touch_trial(study.study_id, trial_id)
            pending.set_state(trial_id, state, now)
            start = now if state is TrialState.RUNNING else trial.datetime_start
            complete = now if state.is_finished() else trial.datetime_complete
            trial = changed(trial, state=state, datetime_start=start, datetime_complete=complete)
            study.replace(brief(trial, self._only_key) if state.is_finished() and self._only_key else trial)
            return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """See Optuna."""
        with self._writing() as pending:
            study, trial = self._updatable(trial_id)
            step, value = int(step), float(intermediate_value)
            pending.touch_trial(study.study_id, trial_id)
            pending.set_intermediate_value(trial_id, step, value)
            study.replace(changed(trial, intermediate_values=trial.intermediate_values | {step: value}))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        self._set_trial_attr("user", trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        self._set_trial_attr("system", trial_id, key, value)

    def _set_trial_attr(self, kind: str, trial_id: int, key: str, value: Any) -> None:
        text = values.attribute_to_json(value)
        with self._writing() as pending:
            study, trial = self._updatable(trial_id)
            pending.touch_trial(study.study_id, trial_id)
            pending.trial_attrs[kind][trial_id, key] = text
            attr = {key: values.attribute_from_json(text)}
            if kind == "user":
                study.replace(changed(trial, user_attrs=trial.user_attrs | attr))
            else:
                study.replace(changed(trial, system_attrs=trial.system_attrs | attr))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """See Optuna."""
        with self._reading():
            return self._study(study_id).trial_id(trial_number)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See Optuna."""
        with self._reading():
            return self._trial(trial_id)[1]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """See Optuna."""
        with self._reading():
            trials = self._study(study_id).selected(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        """See Optuna."""
        with self._reading():
            return self._study(study_id).count((state,) if isinstance(state, TrialState) else state)

    def remove_session(self) -> None:
        """See Optuna: the connection is given back; the next call makes a new one."""
        self.close()
