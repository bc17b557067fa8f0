"""UCB1 over many configurations finds the same one by looking at few as by looking at all."""

import random
from types import SimpleNamespace

import pytest

from service.events import TrialState
from service.strategies.policies.restart_bandit import Arm, Bandit, _bound


def cycle(loss, bracket):
    return SimpleNamespace(state=TrialState.COMPLETE, best_epoch=1, value_at=lambda _: loss, bracket=bracket)


@pytest.mark.parametrize("seed", range(5))
def test_the_next_arm_has_the_highest_bound_of_all_that_are_free(seed):
    rng = random.Random(seed)
    most = 6
    bandit = Bandit(
        "ucb", configurations=30, cycles=most, pulls=100, sign=1.0, may_restart=lambda arm: len(arm.cycles) < most
    )
    under_way = []
    for bracket in range(30):
        first = cycle(round(rng.random(), 1), bracket)  # ties
        bandit.arms.append(Arm(root=first, cycles=[first]))
        under_way.append((bandit.arms[-1], first))
    chosen = 0
    for _ in range(400):
        if under_way and rng.random() < 0.6:
            arm, trial = under_way.pop(rng.randrange(len(under_way)))
            bandit.count(arm, trial)
            arm.closed = rng.random() < 0.05
        free = [
            arm for arm in bandit.arms
            if not arm.closed and len(arm.ranks) == len(arm.cycles) and len(arm.cycles) < most
        ]  # fmt: skip
        total = sum(len(arm.ranks) for arm in bandit.arms)
        expected = max((_bound(arm, total) for arm in free), default=None)
        arm = bandit.next_arm()
        assert (arm is None) == (not free)
        if arm is not None:
            assert any(arm is each for each in free)
            assert _bound(arm, total) == pytest.approx(expected, abs=1e-12)
        if arm is not None and rng.random() < 0.4:  # fewer than end, so that there are many to choose from
            chosen += len(free) > 3
            trial = cycle(round(rng.random(), 1), arm.root.bracket)
            arm.cycles.append(trial)
            under_way.append((arm, trial))
    assert chosen > 30
