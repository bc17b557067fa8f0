"""Both bandits over many configurations find the same one by looking at few as by looking at all."""

import random
from types import SimpleNamespace

import pytest

from bandstand.strategies.policies.restart_bandit import Bandit, _bound
from bandstand.trials.events import TrialState

CONFIGURATIONS = 30
MOST = 6  # cycles of each


class Restarts:
    """Configurations that train, pause and fail at random, and who is next by looking at all of them."""

    def __init__(self, kind, seed):
        self.rng = random.Random(seed)
        self.bandit = Bandit(
            kind, configurations=CONFIGURATIONS, cycles=MOST, pulls=100, sign=1.0,
            may_restart=lambda arm: len(arm.cycles) < MOST,
        )  # fmt: skip
        self.training = []  # brackets
        self.choices = 0  # among more than three
        for bracket in range(CONFIGURATIONS):
            self.begin(bracket)

    @property
    def open(self):
        return [arm for arm in self.bandit.arms if not arm.closed]

    @property
    def free(self):
        return [arm for arm in self.open if arm.root.bracket not in self.training and len(arm.cycles) < MOST]

    def begin(self, bracket):
        loss = round(self.rng.random(), 1)  # ties
        self.bandit.begin(
            SimpleNamespace(state=TrialState.COMPLETE, best_epoch=1, value_at=lambda _: loss, bracket=bracket)
        )
        self.bandit.arms[bracket].paused = None
        self.training.append(bracket)

    def end_one(self):
        arm = self.bandit.arms[self.training.pop(self.rng.randrange(len(self.training)))]
        trial = arm.cycles[-1]
        if len(arm.ranks) < len(arm.cycles) and self.rng.random() < 0.1:
            trial.state = TrialState.FAILED
        else:
            arm.paused = trial
        self.bandit.rest(arm, trial)
        if len(arm.cycles) == MOST or self.rng.random() < 0.02:
            self.bandit.close(arm)
        elif arm.paused is not None and self.rng.random() < 0.05:  # its checkpoint was lost
            arm.paused = None
            self.bandit.resume(arm)
            self.training.append(arm.root.bracket)

    def score(self, arm):
        """The best loss of its cycles."""
        return min(self.bandit.loss(trial) for trial in arm.cycles)

    def limit(self):
        """Cycles of each in the present phase."""
        return self.bandit._phases[min(CONFIGURATIONS - len(self.open), CONFIGURATIONS - 1)]

    def expected_of_ucb(self):
        total = sum(len(arm.ranks) for arm in self.bandit.arms)
        return max(self.free, key=lambda arm: (_bound(arm, total), -arm.root.bracket), default=None)

    def expected_of_rejects(self):
        due = [arm for arm in self.free if len(arm.cycles) < self.limit()]
        if not due and len(self.open) > 1:
            due = [arm for arm in sorted(self.free, key=self.score)[:-1] if len(arm.cycles) == self.limit()]
        if not due and len(self.open) == 1:
            due = self.free
        return min(due, key=lambda arm: (len(arm.cycles), self.score(arm), arm.root.bracket), default=None)

    def expected_rejected(self):
        if len(self.open) < 2 or self.training or any(len(arm.cycles) < self.limit() for arm in self.open):
            return None
        paused = [arm for arm in self.open if arm.paused is not None]
        return max(paused, key=lambda arm: (self.score(arm), arm.root.bracket), default=None)


@pytest.mark.parametrize("seed", range(5))
def test_the_next_arm_has_the_highest_bound_of_all_that_are_free(seed):
    restarts = Restarts("ucb", seed)
    for _ in range(400):
        if restarts.training and restarts.rng.random() < 0.6:
            restarts.end_one()
        expected, arm = restarts.expected_of_ucb(), restarts.bandit.next_arm()
        assert arm is expected
        assert restarts.bandit.rejected() is None
        if arm is not None and restarts.rng.random() < 0.4:  # fewer than end, so that there are many to choose from
            restarts.choices += len(restarts.free) > 3
            restarts.begin(arm.root.bracket)
    assert restarts.choices > 30


@pytest.mark.parametrize("seed", range(20))
def test_rejects_chooses_and_rejects_as_by_looking_at_all(seed):
    restarts = Restarts("rejects", seed)
    rejected = 0
    for _ in range(1_000):
        if restarts.training and restarts.rng.random() < 0.6:
            restarts.end_one()
        arm = restarts.bandit.next_arm()
        assert arm is restarts.expected_of_rejects()
        assert restarts.bandit.open == len(restarts.open)
        if arm is not None:
            restarts.choices += len(restarts.free) > 3
            restarts.begin(arm.root.bracket)
            continue
        worst = restarts.bandit.rejected()
        assert worst is restarts.expected_rejected()
        if worst is not None:
            rejected += 1
            worst.paused = None
            restarts.bandit.close(worst)
    assert restarts.choices > 30
    assert rejected > 5
    assert not restarts.training
