"""What Tune starts for a member of a population: a trainer of ours that trains an interval per result.

Knows Tune's Trainable. What Tune restores is a reference to a checkpoint of ours: a trial and an epoch.
"""

from __future__ import annotations

import dataclasses
import os
import traceback
from collections.abc import Mapping
from typing import Any

import ray
from ray.tune import Trainable

from bandstand.errors import one_line
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.messages import Failure, Inputs, Outcome
from bandstand_workers.tune.population import MEMBER, OBJECTIVE, PopulationConfig
from bandstand_workers.tune.population_coordinator import MemberCheckpoint, MemberInterval, MemberTask
from bandstand_workers.tune.trainer_thread import TrainerThread

__all__ = ["MemberTrainable"]


class MemberTrainable(Trainable):  # type: ignore[misc]  # ray has no types
    """Trains until its next comparison, again and again; from whose checkpoint and with which params, Tune says."""

    def setup(self, config: Mapping[str, Any], *, coordinator: Any, spec: Mapping[str, Any], code: CodePlace) -> None:
        """As Tune's: once per process."""
        study = StudySpec.model_validate(spec)
        self._coordinator = coordinator
        self._population = PopulationConfig(study)
        self._trainer = TrainerThread(study, code)
        self._begin_member(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """As Tune's: another member, or the same one that was cloned or has waited."""
        if self._trainer.has_grown:
            os._exit(0)  # Tune begins again with the member in another process
        self._begin_member(new_config)
        return True

    def _begin_member(self, config: Mapping[str, Any]) -> None:
        self._member_config = config
        self._reached: MemberCheckpoint | None = None

    def load_checkpoint(self, checkpoint: dict[str, int]) -> None:
        """As Tune's: what this member goes on from, its own or another's."""
        self._reached = MemberCheckpoint(trial=checkpoint["trial"], epoch=checkpoint["epoch"])

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, int]:
        """As Tune's: ours is durable, Tune keeps where it is."""
        assert self._reached is not None, "Tune saves a member after a result"
        return dataclasses.asdict(self._reached)

    def step(self) -> dict[str, Any]:
        """As Tune's: one result."""
        params = self._population.params(self._member_config)
        first_trial = self._member_config[MEMBER]["trial"]
        try:
            if not self._trainer.is_admitted(self._take_inputs):
                return {"done": True}
            me = ray.get_runtime_context().current_actor
            order = ray.get(self._coordinator.order.remote(self.trial_id, first_trial, self._reached, params, me))
            if order is None:
                return {"done": True}
            reached = self._train(order)
        except ray.exceptions.RayActorError:
            return {"done": True}  # the coordinator is gone: there will be another, and another Tuner
        self._reached = MemberCheckpoint(trial=reached.trial, epoch=reached.epoch)
        return {"epoch": reached.epoch, OBJECTIVE: reached.value, "trial": reached.trial, "done": reached.over}

    def _take_inputs(self, inputs: Inputs) -> bool:
        return bool(ray.get(self._coordinator.take_inputs.remote(inputs)))

    def _train(self, order: MemberTask) -> MemberInterval:
        assignment = order.assignment
        arguments = self._coordinator, assignment, order.folder, order.resume_uri, order.seconds_left
        try:
            outcome: Outcome | None = self._trainer.submit("train", *arguments).result()
        except Exception as error:  # noqa: BLE001  # of ours: what the user's model raises is an outcome
            message = f"{type(error).__name__}: {one_line(error)}"
            detail = "".join(traceback.format_exception(error))[-20_000:]
            failure = Failure(kind="internal", message=message, cause=type(error).__name__, detail=detail)
            outcome = Outcome(failure=failure)
        settled = self._coordinator.settle.remote(self.trial_id, assignment.trial, assignment.attempt, outcome)
        interval: MemberInterval = ray.get(settled)
        return interval
