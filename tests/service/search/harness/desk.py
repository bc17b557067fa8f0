"""A Search that a test moves by hand."""

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.trials.events import Action
from tests.service.search.harness.stored_events import through_the_rows

__all__ = ["Desk"]


class Desk:
    """A Search that a test moves by hand: the trial's attempt is looked up, values are metrics of the objective."""

    def __init__(self, search):
        self.search = search

    @property
    def trials(self):
        return self.search.history.trials

    def start(self, count=1):
        """Hand out `count` assignments; the last is returned."""
        assignments = [self.search.next() for _ in range(count)]
        assert None not in assignments
        return assignments[-1]

    def report(self, trial, epoch, value, **options):
        metrics = value if isinstance(value, dict) else {self.search.spec.objective.metric: value}
        return self.search.report(
            trial, self.trials[trial].attempt, Measurement(epoch=epoch, metrics=metrics, **options)
        )

    def checkpoint(self, trial, epoch):
        self.search.checkpointed(trial, self.trials[trial].attempt, epoch, f"trial-{trial}/epoch-{epoch}")

    def finish(self, trial, *reason):
        self.search.finish(trial, self.trials[trial].attempt, *reason)

    def pause(self, trial):
        self.search.paused(trial, self.trials[trial].attempt)

    def fail(self, trial, kind="exception", message="ValueError: no", **options):
        self.search.fail(trial, self.trials[trial].attempt, kind, message, **options)

    def lose(self, trial, **options):
        self.search.lost(trial, self.trials[trial].attempt, "the node went away", **options)

    def train(self, values, *, from_epoch=0):
        """Start the next trial and report these values until it is told something else than CONTINUE, then finish it.

        Returns the trial's number and the last action.
        """
        trial = self.start().trial
        for epoch, value in enumerate(values, start=from_epoch + 1):
            verdict = self.report(trial, epoch, value)
            if verdict.action is not Action.CONTINUE:
                break
        if verdict.action is Action.STOP:
            self.finish(trial)
        return trial, verdict.action

    def train_interval(self, trial, value):
        """Two epochs, the second with this value; the trial is given back with its checkpoint, or finished."""
        for epoch in (1, 2):
            verdict = self.report(trial, self.trials[trial].epochs + 1, value + (2 - epoch))
        self.hand_back(trial, verdict.action)

    def hand_back(self, trial, action):
        """What a worker does after its last report: it gives the trial back with its checkpoint, or finishes it."""
        if action is Action.PAUSE:
            self.checkpoint(trial, self.trials[trial].epochs)
            self.pause(trial)
        else:
            self.finish(trial)

    def restored(self):
        """The Search that the events so far lead to, on a desk of its own; running trials are lost without blame."""
        events = through_the_rows(self.search.spec, self.search.take_events())
        search = Search.restore(self.search.spec, events)
        for trial in search.history.trials:
            search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        return Desk(search)
