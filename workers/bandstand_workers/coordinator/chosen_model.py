"""The study's model, once the search is over: made where it is missing, combined where that is wanted, tested once.

Knows what trainers do with models, and the order that keeps the test honest: whatever is chosen is chosen on validation
data first. Must not know how trials were trained.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import ray

from bandstand import stored_files
from bandstand.errors import one_line
from bandstand.trials.combination import LEAST_MEMBERS, Combination, weigh
from bandstand.trials.events import Combined
from bandstand.trials.history import Trial
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.fleet.handles import TrainerHandle

__all__ = ["ChosenModel"]

_ANSWER_SECONDS = 6 * 3600.0
"""How long a trainer may take to make a model or to score one: a builder may wait for ever."""


class _NotMadeError(Exception):
    """A combined model could not be made or scored; the message says why."""


class ChosenModel:
    """Each step is done once in a study's life: what is stored says how far a killed coordinator came."""

    def __init__(self, study: OpenedStudy):
        """Of this study."""
        self._study = study
        self._search = study.search
        self._journal = study.journal

    async def settle(self, trainers: Iterable[TrainerHandle]) -> None:
        """Come to the study's model and its test result, by whichever of these trainers lives."""
        best = self._search.history.best
        if best is None:
            return
        trainers = list(trainers)
        await self._make_snapshot(best, trainers)
        await self._note_loss(best)
        await self._combine(best, trainers)
        await self._test_once(best, trainers)

    async def keep(self, trainers: Iterable[TrainerHandle]) -> None:
        """Have the file of the best trial's model where the study is to stop here for a while; nothing is tested."""
        best = self._search.history.best
        if best is not None:
            await self._make_snapshot(best, list(trainers))

    async def _make_snapshot(self, best: Trial, trainers: list[TrainerHandle]) -> None:
        """Where the best trial was paused, its model is in its last checkpoint."""
        if await self._is_there(best):
            return
        uri = await self._journal.call(self._study.writer.checkpoint_uri, best.number, best.checkpoint_epoch)
        if uri is None:
            return
        place = f"{self._study.folder_of(best.number)}/model-attempt-{best.attempt}"
        wanted = self._search.history.result_epoch(best)
        made, error = await _ask(trainers, "make_model", uri, dict(best.params), wanted, place)
        await self._note("the chosen model could not be made from its checkpoint", error)
        if made is not None:
            await self._take(best, made)

    async def _note_loss(self, best: Trial) -> None:
        """Tell the user where the best trial's model could not be had; what is there, and tested, is another one's."""
        if await self._is_there(best):
            return
        row = await self._study.columns()
        kept = "no other model is kept" if row.model_uri is None else f"the model of trial {row.model_trial} is kept"
        await self._note(
            f"the model of the best trial ({best.number}) is lost",
            f"no file has the weights of its epoch {self._search.history.result_epoch(best)}, and {kept}. "
            f"`bandstand replay {shlex.quote(self._study.spec.name)} --trial {best.number}` trains it again",
        )

    async def _is_there(self, best: Trial) -> bool:
        """Whether the study has the model of its best trial's best epoch, and not one of another."""
        row = await self._study.columns()
        if row.model_trial != best.number:
            return False
        return row.model_epoch is None or row.model_epoch == self._search.history.result_epoch(best)

    async def _combine(self, best: Trial, trainers: list[TrainerHandle]) -> None:
        """Put together what the study wants together, and take it where it is not worse than the snapshot."""
        combination = self._search.models.combination
        if combination is None:
            return
        row = await self._study.columns()
        if self._search.history.combined is None:
            snapshot = row.model_uri if await self._is_there(best) else None
            self._search.models.combined(await self._weighed(best, combination, snapshot, trainers))
            await self._journal.durable()
        combined = self._search.history.combined
        assert combined is not None
        if combined.taken and combined.uri and row.model_uri != combined.uri:
            await self._take(best, combined.uri)
        elif combined.uri and not combined.taken:
            await asyncio.to_thread(stored_files.try_to_delete, combined.uri)

    async def _weighed(
        self, best: Trial, combination: Combination, snapshot: str | None, trainers: list[TrainerHandle]
    ) -> Combined:
        """What came of making the combined model and scoring both on validation data, in the same way."""
        objective = self._search.spec.objective
        uri, value, snapshot_value, problem = None, None, None, None
        name, params, members = objective.metric.removeprefix("val_"), dict(best.params), _members_of(combination)
        try:
            if snapshot is None:
                raise _NotMadeError("there is no snapshot to compare with")
            ends = await self._ends(combination)
            place = f"{self._study.folder_of(best.number)}/{combination.how}"
            uri = await _wanted(trainers, "combine", ends, params, combination.how, place)
            scores = await _wanted(trainers, "evaluate", uri, params, "validation", members)
            snapshot_scores = await _wanted(trainers, "evaluate", snapshot, params, "validation")
            value, snapshot_value = scores.get(name), snapshot_scores.get(name)
        except _NotMadeError as error:
            problem = str(error)
        return weigh(combination, objective, value=value, snapshot_value=snapshot_value, uri=uri, problem=problem)

    async def _ends(self, combination: Combination) -> list[str]:
        """Where the checkpoints are that are to be put together."""
        count = len(combination.trials)
        if count < LEAST_MEMBERS:
            raise _NotMadeError(
                f"{count} of the cycles that led to it left a checkpoint of their end, and {LEAST_MEMBERS} are needed"
            )
        ends = []
        for trial in combination.trials:
            epoch = self._search.history.trials[trial].checkpoint_epoch
            ends.append(await self._journal.call(self._study.writer.checkpoint_uri, trial, epoch))
            if ends[-1] is None:
                raise _NotMadeError(f"the checkpoint of trial {trial} is gone")
        return ends

    async def _test_once(self, best: Trial, trainers: list[TrainerHandle]) -> None:
        """Score the chosen model on the test split, once.

        A study that was extended after that may choose another model. Who extended it had seen the test result, so the
        new one is less independent of the test data; it is measured all the same, and the study says so.
        """
        row = await self._study.columns()
        if row.model_uri is None or row.tested_uri == row.model_uri:
            return
        if row.test_looks:
            self._search.note(
                f"the test data were used again, for trial {row.model_trial}: the study continued after another model "
                f"had been tested ({_words(row.test_metrics)}), and whoever continued it could know that result"
            )
            await self._journal.durable()
        combined = self._search.history.combined
        members = _members_of(combined) if combined is not None and combined.taken else 1
        params = dict(self._search.history.trials[row.model_trial].params)
        metrics, error = await _ask(trainers, "evaluate", row.model_uri, params, "test", members)
        await self._note("the chosen model could not be tested", error)
        if metrics is not None:
            await self._study.set_columns(test_metrics=metrics, tested_uri=row.model_uri, test_looks=row.test_looks + 1)

    async def _take(self, best: Trial, uri: str) -> None:
        """Store that this file is the study's model; remove the one that was."""
        row = await self._study.columns()
        epoch = self._search.history.result_epoch(best)
        await self._study.set_columns(model_uri=uri, model_trial=best.number, model_epoch=epoch)
        if row.model_uri not in (None, uri):
            await asyncio.to_thread(stored_files.try_to_delete, row.model_uri)

    async def _note(self, words: str, error: str | None) -> None:
        """Tell the user that something has failed, if it has."""
        if error is not None:
            self._search.note(f"{words}: {error}")
            await self._journal.durable()


async def _wanted(trainers: list[TrainerHandle], method: str, *arguments: Any) -> Any:
    """As `_ask`, where nothing goes on without an answer."""
    answer, error = await _ask(trainers, method, *arguments)
    if answer is None:
        raise _NotMadeError(error or "no trainer was left to make it")
    return answer


async def _ask(trainers: list[TrainerHandle], method: str, *arguments: Any) -> tuple[Any, str | None]:
    """The answer of the first trainer that lives to give one, else None and what went wrong.

    What raises at one trainer is not asked of another: it would raise there too.
    """
    error = None
    for trainer in trainers:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await getattr(trainer, method).remote(*arguments), None
        except TimeoutError:
            return None, f"it took longer than {_ANSWER_SECONDS / 3600:.0f} hours"
        except ray.exceptions.RayTaskError as raised:
            return None, one_line(raised.cause or raised)
        except ray.exceptions.RayError as raised:
            error = one_line(raised)
    return None, error


def _words(metrics: Mapping[str, float] | None) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in (metrics or {}).items())


def _members_of(combined: Combination | Combined) -> int:
    """How many models a file of it is made of."""
    return len(combined.trials) if combined.how == "ensemble" else 1
