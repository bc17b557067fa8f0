"""Which deaths of trainers count against the trials they trained."""

from __future__ import annotations

import ray

from workers.blame import Blame

PROCESS = ray.exceptions.ActorDiedError()
NODE = ray.exceptions.RayActorError(error_msg="The actor died because its node has died. Node Id: 8945")
PREEMPTED = ray.exceptions.RayActorError(preempted=True)


def test_a_dead_process_counts_against_its_trial() -> None:
    assert Blame().falls_on(0, PROCESS, 0)


def test_a_dead_or_preempted_node_does_not() -> None:
    assert not Blame().falls_on(0, NODE, 0)
    assert not Blame().falls_on(0, PREEMPTED, 0)


def test_a_trial_under_which_nodes_die_and_that_comes_no_further_is_suspected() -> None:
    blame = Blame()
    assert [blame.falls_on(7, NODE, 2) for _ in range(4)] == [False, False, False, True]
    assert not blame.falls_on(8, NODE, 2)


def test_a_trial_that_goes_on_between_preemptions_is_not() -> None:
    blame = Blame()
    assert not any(blame.falls_on(7, PREEMPTED, epoch) for epoch in (1, 1, 1, 4, 4, 4, 9, 9, 9, 12))
