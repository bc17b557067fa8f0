"""One study in this process: its code and its data, loaded once, and what is done with them.

Knows Keras and the user's code. Must not know Ray, nor how a trial is trained (`trial_training`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import psutil

from bandstand.errors import InputError, one_line
from bandstand.search.protocol import Assignment
from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_print import code_print
from bandstand.study.users_code.user_modules import served_folders
from bandstand.trials.broken_study import HOPELESS
from bandstand.trials.code_fingerprint import CodePrint
from bandstand_workers.messages import CheckpointRefusal, EpochLink, Inputs, Outcome, TrialUnwantedError
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import CheckpointError
from bandstand_workers.training.contexts import Contexts, remove_if_empty
from bandstand_workers.training.data.loading import Data, LoadedData, load_data
from bandstand_workers.training.data.remarks import on_large_batches
from bandstand_workers.training.memory.memory_limit import MemoryLimit, MemoryUse
from bandstand_workers.training.memory.parameter_count import count_by_shapes, count_of
from bandstand_workers.training.raised_errors import failure_from, with_size
from bandstand_workers.training.study_check import check_study
from bandstand_workers.training.trial_models import model_state
from bandstand_workers.training.trial_models.model_source import ModelSource, TrialModel
from bandstand_workers.training.trial_models.saved_models import SavedModels
from bandstand_workers.training.trial_training import TrainingParts, TrialTraining, goes_on
from bandstand_workers.training.user_code.callback_files import CallbackFiles
from bandstand_workers.training.user_code.calling import Builder, CallbackMaker

__all__ = ["LoadedStudy"]


_codes: dict[tuple[str, ...], CodePrint] = {}
"""By references, the code that this process has imported: a later look at the files may find other code."""


def _code_imported(spec: StudySpec) -> CodePrint:
    """The fingerprint of the code that this process has imported for such a study."""
    return _codes.setdefault(spec.references, code_print(spec, served_folders()))


class LoadedStudy:
    """One study's code and data, loaded once, and the trainings done with them."""

    def __init__(self, spec: StudySpec, earlier: LoadedStudy | None = None):
        """Import the user's code and load the data.

        Args:
            spec: the study.
            earlier: another study's; where its data are the same, they and the programs made for them serve again.

        Raises:
            InputError: something of the study does not import, load or fit.
        """
        if spec.resources.trials_at_once > 1 and keras.backend.backend() != "jax":
            raise InputError(
                f"resources.trials_at_once above 1 needs Keras on JAX; trainers have {keras.backend.backend()}: "
                "set KERAS_BACKEND=jax for the trainers, or leave trials_at_once out"
            )
        same_data = earlier if earlier is not None and earlier.loaded.serves(spec) else None
        self.spec: StudySpec = spec
        self._build = Builder(spec.model)
        self._callback_makers = [CallbackMaker(reference) for reference in spec.callbacks]
        self._code = _code_imported(spec)
        self._callback_files = CallbackFiles()
        self.loaded: LoadedData = same_data.loaded if same_data else load_data(spec)
        self.data: Data = self.loaded.splits
        self._contexts = Contexts(spec, self.data)
        self._remarks_of_check: list[str] = []
        self.memory: MemoryLimit = MemoryLimit()
        """Of this process while it trains; whoever knows what the process has sets it."""
        self.checkpoint_keeper: CheckpointKeeper = earlier.checkpoint_keeper if earlier else CheckpointKeeper()
        self.source: ModelSource = ModelSource(spec, self._build, self.data, same_data.source if same_data else None)
        self._saved_models = SavedModels(
            spec, self.data, self.source, self.checkpoint_keeper, self._build, self._contexts
        )
        self._parts = TrainingParts(
            spec=spec,
            data=self.data,
            source=self.source,
            checkpoint_keeper=self.checkpoint_keeper,
            saved_models=self._saved_models,
        )

    @property
    def programs(self) -> int:
        """How many compiled programs are kept."""
        return self.source.programs

    def inputs(self) -> Inputs:
        """The study's data and code, as this process has loaded them, and what its check has found."""
        remarks = (
            *self.loaded.remarks,
            *on_large_batches(self.spec, self.data["train"]),
            *self._remarks_of_check,
        )
        return Inputs(data=self.loaded.fingerprint, code=self._code, remarks=remarks)

    def wait_for_checkpoints(self) -> None:
        """Wait until every checkpoint made so far is durable and its link told."""
        self.checkpoint_keeper.wait()

    def check(self) -> None:
        """Refuse a study whose epochs would not report its objective, or that asks for more than can be.

        Raises:
            InputError: as `check_study`.
        """
        with self.memory.held():
            self._remarks_of_check = check_study(self.spec, self._build, self.data, self._callbacks_for, self._contexts)

    def run(
        self,
        assignment: Assignment,
        link: EpochLink,
        *,
        folder: str,
        resume_uri: str | None,
        seconds_left: float | None = None,
    ) -> Outcome:
        """Train an assignment.

        Args:
            assignment: what to train.
            link: where epochs are reported.
            folder: where the trial's checkpoints and model go (a path or an fsspec URL).
            resume_uri: the checkpoint of `assignment.checkpoint_of`, None for a fresh start.
            seconds_left: until the study's time is up.

        Returns:
            How it ended. Failures of the user's code are outcomes, not exceptions; so is a checkpoint that cannot be
            used, with which nothing was trained.

        Raises:
            TrialUnwantedError: from the link; nobody wants the outcome.
        """
        with self.memory.held() as use:
            return self._run(assignment, link, use, folder, resume_uri, seconds_left)

    def _run(
        self,
        assignment: Assignment,
        link: EpochLink,
        use: MemoryUse,
        folder: str,
        resume_uri: str | None,
        seconds_left: float | None,
    ) -> Outcome:
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        context, notes = self._contexts.of_assignment(assignment, folder), list[str]()
        trial: TrialTraining | None = None
        try:
            model, callbacks = self._make(assignment, context, notes)
        except Exception as error:  # noqa: BLE001  # the user's builder may raise anything
            outcome = Outcome(failure=failure_from(error, self.spec, assignment.params))
        else:
            use.parameters = count_of(model.model)
            trial = TrialTraining(self._parts, assignment, link, model, callbacks, folder)
            outcome = self._train(trial, assignment, resume_uri, deadline)
            use.parameters = use.parameters or count_of(model.model)
        outcome = self._with_size(outcome, assignment, use, context)
        self._let_go(trial, outcome, context)
        notes += self.source.take_notes()
        memory_bytes = psutil.Process().memory_info().rss
        return dataclasses.replace(outcome, defaulted=self._defaulted(), notes=tuple(notes), memory_bytes=memory_bytes)

    def _with_size(self, outcome: Outcome, assignment: Assignment, use: MemoryUse, context: Context) -> Outcome:
        """An outcome that says how large a model was that ran out of memory."""
        if outcome.failure is None:
            return dataclasses.replace(outcome, parameters=use.parameters)
        failure = with_size(
            outcome.failure,
            limit=self.memory,
            use=use,
            count=lambda: count_by_shapes(lambda: self._build(dict(assignment.params), context)),
            batch_size=self.spec.batch_size_for(assignment.params),
        )
        return dataclasses.replace(outcome, failure=failure, parameters=use.parameters or failure.parameters)

    def _let_go(self, trial: TrialTraining | None, outcome: Outcome, context: Context) -> None:
        """Have a trial's model serve others where it is sound, and remove what is of no use any more."""
        if context.folder is not None:
            remove_if_empty(context.folder)
        if trial is not None and outcome.failure is None and outcome.refusal is None:
            self.source.give_back(trial.model)
        self.source.clean_up(None if trial is None else trial.model)

    def _make(self, assignment: Assignment, context: Context, notes: list[str]) -> tuple[TrialModel, list[Any]]:
        """An assignment's model and the user's callbacks; what the user should know of these goes into `notes`."""
        params = assignment.params
        callbacks, told = self._callback_files.prepare(self._callbacks_for(params, context), context)
        notes += told
        restores = goes_on(assignment)
        model = self.source.model_for(assignment.trial, params, assignment.seed, callbacks, context, restores=restores)
        return model, callbacks

    def _train(
        self, trial: TrialTraining, assignment: Assignment, resume_uri: str | None, deadline: float | None
    ) -> Outcome:
        """What came of a training, whatever it has raised but that nobody wants it."""
        try:
            return trial.train(resume_uri, deadline)
        except TrialUnwantedError:
            self.source.give_back(trial.model)
            raise
        except CheckpointError as error:
            return Outcome(refusal=CheckpointRefusal(reason=one_line(error), cause=error.kind))
        except model_state.OtherShapeError as error:
            failure = failure_from(error, self.spec, assignment.params)
            return Outcome(failure=dataclasses.replace(failure, kind=HOPELESS, message=one_line(error)))
        except Exception as error:  # noqa: BLE001  # what is done around the epochs may meet the user's objects too
            return Outcome(failure=failure_from(error, self.spec, assignment.params))

    def make_model(self, checkpoint_uri: str, params: Mapping[str, Any], epoch: int, place: str) -> str | None:
        """As `SavedModels.make_model`."""
        return self._saved_models.make_model(checkpoint_uri, params, epoch, place)

    def combine(self, checkpoint_uris: Sequence[str], params: Mapping[str, Any], how: str, place: str) -> str:
        """As `SavedModels.combine`."""
        return self._saved_models.combine(checkpoint_uris, params, how, place)

    def evaluate(self, model_uri: str, params: Mapping[str, Any], split: str, members: int = 1) -> dict[str, float]:
        """As `SavedModels.evaluate`."""
        return self._saved_models.evaluate(model_uri, params, split, members)

    def _defaulted(self) -> tuple[str, ...]:
        """`name = default` of the hyperparameters that a KerasTuner builder asked for beyond the space."""
        return tuple(f"{name} = {value!r}" for name, value in self._build.defaulted.items())

    def _callbacks_for(self, params: Mapping[str, Any], context: Context) -> list[Any]:
        return [callback for maker in self._callback_makers for callback in maker.make(params, context)]
