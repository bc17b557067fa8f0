"""Trials that say nothing: how long they may, who is warned, who is ended, and whom that is counted against."""

from __future__ import annotations

from bandstand_workers.coordinator.trainers.silence import Silence


class Clock:
    """Tells the seconds that the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def silent(silence: Silence) -> dict[int, bool]:
    """The overdue trials, and whether each is blamed."""
    return {overdue.trial: overdue.blamed for overdue in silence.overdue()}


def test_a_trial_that_finishes_no_epoch_within_the_limit_is_to_blame() -> None:
    clock = Clock()
    silence = Silence(10.0, clock)
    silence.begins(3)
    silence.begins(4)
    clock.now += 9.0
    silence.heard(4)
    assert silent(silence) == {}
    clock.now += 1.0
    assert silent(silence) == {3: True}
    assert [overdue.reason for overdue in silence.overdue()] == ["it finished no epoch within 10 s (epoch_seconds)"]
    silence.ends(3)
    assert silent(silence) == {}


def test_a_trial_that_begins_again_is_measured_from_its_new_beginning() -> None:
    clock = Clock()
    silence = Silence(10.0, clock)
    silence.begins(3)
    clock.now += 9.0
    silence.begins(3)
    clock.now += 9.0
    assert silent(silence) == {}


def test_without_a_setting_the_limit_follows_from_the_longest_epoch_and_is_generous() -> None:
    clock = Clock()
    silence = Silence(None, clock)
    silence.begins(0)
    assert silence.limit_seconds == 6 * 3600
    clock.now += 2.0
    silence.heard(0)
    assert silence.limit_seconds == 600
    clock.now += 100.0
    silence.heard(0)
    assert silence.limit_seconds == 2000
    clock.now += 1.0
    silence.heard(0)
    assert silence.limit_seconds == 2000, "a short epoch does not take back what a long one gave"


def test_word_of_a_trial_that_trains_no_longer_changes_nothing() -> None:
    clock = Clock()
    silence = Silence(None, clock)
    silence.begins(0)
    silence.ends(0)
    clock.now += 5000.0
    silence.heard(0)
    assert silence.limit_seconds == 6 * 3600


def test_after_a_stop_every_trial_has_the_grace_to_end_its_epoch_and_none_is_blamed() -> None:
    clock = Clock()
    silence = Silence(None, clock)
    silence.begins(0)
    silence.over("the study was stopped", 60.0)
    clock.now += 30.0
    silence.begins(1)
    silence.heard(0)
    silence.over("the study was stopped", 60.0)
    assert silent(silence) == {}
    clock.now += 30.0
    assert silent(silence) == {0: False, 1: False}
    silence.over(None, 60.0)
    assert silent(silence) == {}


def test_users_are_warned_once_before_a_trial_is_ended() -> None:
    clock = Clock()
    silence = Silence(600.0, clock)
    silence.begins(7)
    clock.now += 119.0
    assert silence.warnings() == []
    clock.now += 1.0
    (warning,) = silence.warnings()
    assert warning.startswith("trial 7 has finished no epoch for 120 s. It is ended after 600 s;")
    clock.now += 100.0
    assert silence.warnings() == []
    silence.heard(7)
    clock.now += 120.0
    assert len(silence.warnings()) == 1, "another silence is another warning"


def test_a_short_limit_warns_at_its_half_at_the_latest() -> None:
    clock = Clock()
    silence = Silence(10.0, clock)
    silence.begins(0)
    clock.now += 4.9
    assert silence.warnings() == []
    clock.now += 0.1
    assert len(silence.warnings()) == 1
    assert silent(silence) == {}
