"""What Tune starts in its processes: a trainer of ours that does one call per Tune trial.

Knows Tune's Trainable and how results reach Tune. What a training is, `Trainer` knows.
"""

from __future__ import annotations

import os
import queue
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import ray
from ray.tune import Trainable

from bandstand.errors import InputError, one_line
from bandstand.search.protocol import Measurement
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.messages import Inputs, Outcome
from bandstand_workers.tune.searcher import GOES_ON
from bandstand_workers.tune.trainer_calls import TrainerCall
from bandstand_workers.tune.trainer_thread import TrainerThread

__all__ = ["CallTrainable"]


class CallTrainable(Trainable):  # type: ignore[misc]  # ray has no types
    """Does a call; while that is a training, each of its epochs is a result for Tune.

    The coordinator is told first, and waited for where the trial must ask. Tune hears of an epoch when the next one
    has ended, and of the last when the call is answered: a process that it stops is given its next config at once.
    """

    def setup(self, config: Mapping[str, Any], *, coordinator: Any, spec: Mapping[str, Any], code: CodePlace) -> None:
        """As Tune's: once per process."""
        self._coordinator = coordinator
        self._trainer = TrainerThread(StudySpec.model_validate(spec), code)
        self._begin_call(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """As Tune's: once for each further call."""
        if self._trainer.has_grown:
            os._exit(0)  # the call was not taken, so another process will begin with it
        self._begin_call(new_config)
        return True

    def _begin_call(self, config: Mapping[str, Any]) -> None:
        self._call_number: int = config["call"]
        self._epochs: queue.SimpleQueue[Measurement | Future[Any]] = queue.SimpleQueue()
        self._begun = False
        self._last: Measurement | None = None

    def step(self) -> dict[str, Any]:
        """As Tune's: one result."""
        if not self._begun:
            self._begun = True
            me = ray.get_runtime_context().current_actor
            try:
                call = ray.get(self._coordinator.take.remote(self._call_number, me))
            except ray.exceptions.RayActorError:
                call = None
            if call is None:
                return {"answer": "over"}
            self._begin(call)
        while True:
            news = self._epochs.get()
            if isinstance(news, Future):
                return _result(self._last, self._answer(news))
            before, self._last = self._last, news
            if before is not None:
                return _result(before, GOES_ON)

    def _begin(self, call: TrainerCall) -> None:
        if call.method != "prepare" and not self._trainer.is_admitted(self._take_inputs):
            refused: Future[Any] = Future()
            refused.set_exception(InputError("its data or code are not those of the study"))
            self._epochs.put(refused)
            return
        options = {"heard": self._epochs.put} if call.method == "train" else {}
        self._trainer.submit(call.method, *call.arguments, **options).add_done_callback(self._epochs.put)

    def _take_inputs(self, inputs: Inputs) -> bool:
        return bool(ray.get(self._coordinator.take_inputs.remote(inputs)))

    def _answer(self, done: Future[Any]) -> str:
        """Give the coordinator its answer; a word on it for Tune."""
        error = done.exception()
        if error is None:
            value, word = done.result(), "done"
            if isinstance(value, Outcome):
                word = str(value.action) if value.failure is None else value.failure.kind
        else:
            detail = "".join(traceback.format_exception(error))[-20_000:]
            reason = RuntimeError(f"{type(error).__name__}: {one_line(error)}")
            value, word = ray.exceptions.RayTaskError("call", detail, reason), "failed"
        try:
            ray.get(self._coordinator.answer.remote(self._call_number, value))
        except ray.exceptions.RayActorError:
            return "over"
        return word


def _result(measurement: Measurement | None, answer: str) -> dict[str, Any]:
    if measurement is None:
        return {"answer": answer}
    return {"epoch": measurement.epoch, **measurement.metrics, "answer": answer}
