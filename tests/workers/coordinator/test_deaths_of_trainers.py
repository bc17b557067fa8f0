"""Which deaths of trainers count against the trials they trained."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import ray

from bandstand_workers.coordinator.trainers.deaths import Deaths

PROCESS = ray.exceptions.ActorDiedError()
NODE = ray.exceptions.RayActorError(error_msg="The actor died because its node has died. Node Id: 8945")
PREEMPTED = ray.exceptions.RayActorError(preempted=True)


class Study:
    """Trainers die one after the other."""

    def __init__(self) -> None:
        self.deaths = Deaths()
        self._names = map(str, itertools.count())

    def dies(self, error: BaseException, under_way: Mapping[int, int]) -> set[int]:
        """A trainer dies with these trials, each with the epoch of its checkpoint; who is to blame."""
        name = next(self._names)
        return {trial for trial in under_way if self.deaths.are_due_to(trial, name, error, under_way)}


def test_a_dead_process_counts_against_its_only_trial() -> None:
    assert Study().dies(PROCESS, {0: 0}) == {0}


def test_a_dead_or_preempted_node_does_not() -> None:
    study = Study()
    assert study.dies(NODE, {0: 0}) == set()
    assert study.dies(PREEMPTED, {0: 0, 1: 0}) == set()


def test_a_trial_under_which_nodes_die_and_that_comes_no_further_is_suspected() -> None:
    study = Study()
    assert [study.dies(NODE, {7: 2}) for _ in range(4)] == [set(), set(), set(), {7}]
    assert study.dies(NODE, {8: 2}) == set()


def test_a_trial_that_goes_on_between_preemptions_is_not() -> None:
    study = Study()
    assert not any(study.dies(PREEMPTED, {7: epoch}) for epoch in (1, 1, 1, 4, 4, 4, 9, 9, 9, 12))


def test_of_trials_that_were_under_way_together_the_one_under_which_processes_keep_dying_is_to_blame() -> None:
    study = Study()
    assert study.dies(PROCESS, {1: 0, 2: 0, 3: 0}) == set()
    assert all(study.deaths.make_suspect(trial, 0) for trial in (1, 2, 3))
    assert study.dies(PROCESS, {2: 0, 4: 0, 5: 0}) == {2}
    assert study.dies(PROCESS, {2: 0, 1: 0, 6: 0}) == {2}  # 1 has two as well by now, 2 has three


def test_a_trial_that_came_further_is_no_suspect_any_more() -> None:
    study = Study()
    study.dies(PROCESS, {1: 0, 2: 0})
    assert study.deaths.make_suspect(1, 0)
    assert not study.deaths.make_suspect(1, 3)
    assert study.dies(PROCESS, {1: 3, 9: 0}) == set()
