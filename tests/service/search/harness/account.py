"""An account of what a Search's events may say, kept without the code under test."""

from types import SimpleNamespace

from bandstand.trials.events import (
    Action,
    Checkpointed,
    CheckpointRefused,
    Decided,
    Ended,
    Extended,
    Lost,
    Measured,
    Paused,
    Promoted,
    Proposed,
    Reopened,
    Spent,
    Started,
    StudyEnded,
)

__all__ = ["Account"]


class Account:
    """What events say, added up without the code under test; raises AssertionError where they break a rule."""

    def __init__(self, spec, events):
        self.trials = []
        self.ended = None
        self.notices = 0
        self._wall_seconds = self._gpu_seconds = 0.0
        self._spec = spec
        self._budget = spec.budget
        for event in events:
            self._add(event)
            assert self._budget.epochs is None or sum(map(_booked, self.trials)) <= self._budget.epochs

    @property
    def epochs(self):
        return sum(len(trial.values) for trial in self.trials)

    @property
    def roots(self):
        return sum(trial.parent is None for trial in self.trials)

    @property
    def _time_is_up(self):
        wall, gpu = self._budget.wall_seconds, self._budget.gpu_hours
        return (wall and self._wall_seconds >= wall) or (gpu and self._gpu_seconds >= 3600 * gpu)

    def _add(self, event):
        match event:
            case Spent():
                self._wall_seconds += event.wall_seconds
                self._gpu_seconds += event.gpu_seconds
            case Proposed():
                assert not self._time_is_up, "a trial was proposed although the time was up"
                assert event.trial == len(self.trials)
                assert event.granted - event.from_epoch >= 1
                assert event.granted <= self._spec.max_epochs
                if event.from_epoch:
                    assert event.from_epoch in self.trials[event.parent].checkpoints
                self._spec.space.check(event.params)
                self.trials.append(
                    SimpleNamespace(
                        params=event.params, granted=event.granted, attempt=0, running=False, values=[],
                        parent=event.parent, begin=event.from_epoch, checkpoint=event.from_epoch, checkpoints=set(),
                        blamed=0, ended=None, stopped=False,
                    )
                )  # fmt: skip
                assert self._budget.trials is None or self.roots <= self._budget.trials
            case StudyEnded():
                assert self.ended is None
                self.ended = event
            case Extended():
                assert all(
                    event.budget[name] >= limit for name, limit in self._budget.model_dump(exclude_none=True).items()
                )
                self._budget = self._budget.model_copy(update=event.budget)
            case Reopened():
                self.ended = None
                if event.forgotten:
                    for trial in self.trials:
                        trial.checkpoints = set()
            case CheckpointRefused():
                trial = self.trials[event.trial]
                trial.checkpoints.discard(event.epoch)
                if trial.checkpoint == event.epoch > trial.begin:
                    trial.checkpoint = trial.begin
            case Promoted():
                trial = self.trials[event.trial]
                assert trial.ended is None
                assert not trial.running
                assert trial.granted <= trial.begin + len(trial.values) <= event.granted
                trial.granted = event.granted
            case Started() | Measured() | Checkpointed() | Decided() | Paused() | Lost() | Ended():
                trial = self.trials[event.trial]
                assert trial.ended is None, "something happened to a trial after its end"
                self._add_to(trial, event)

    def _add_to(self, trial, event):
        if isinstance(event, Started):
            assert not self._time_is_up, "a trial was given out although the time was up"
            assert not trial.running
            assert (event.attempt, event.from_epoch) == (trial.attempt + 1, trial.checkpoint)
            trial.running, trial.attempt = True, event.attempt
            return
        assert event.attempt == trial.attempt
        match event:
            case Measured():
                assert trial.running
                assert event.epoch == trial.begin + len(trial.values) + 1
                trial.values.append(event.value)
            case Checkpointed():
                assert trial.running
                assert trial.checkpoint < event.epoch <= trial.begin + len(trial.values)
                trial.checkpoint = event.epoch
                trial.checkpoints.add(event.epoch)
            case Decided():
                assert trial.running
                assert event.epoch == trial.begin + len(trial.values)
                assert not trial.stopped, "a trial was told to stop twice"
                trial.granted, trial.stopped = event.granted, event.action is Action.STOP
            case Paused():
                assert trial.running
                trial.running = False
            case Lost():
                assert trial.running
                trial.running = False
                trial.blamed += event.blamed
            case Ended():
                trial.running, trial.ended = False, event


def _booked(trial):
    return len(trial.values) if trial.ended else max(trial.granted - trial.begin, len(trial.values))
