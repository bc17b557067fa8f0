"""Virtual workers around a Search, an independent account of what its events may say, and the way through the rows.

Everything is handed out by session fixtures, so that hypothesis may use them too.
"""

import json
import zlib
from functools import lru_cache
from math import exp, isfinite, nan
from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from search_spaces import Categorical, Float, Int, SearchSpace
from service.event_rows import event_from, measured_from, rows_from
from service.events import (
    Action,
    Checkpointed,
    Decided,
    Ended,
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
from service.history import History
from service.search import Search, StaleAttemptError
from service.study import StudySpec

optuna.logging.set_verbosity(optuna.logging.WARNING)

# Finite, so that every sampler takes it, and conditional: 5 * (3 + 1 + 1) = 25 points.
SMALL_SPACE = SearchSpace(
    {
        "rate": Float(0.0, 1.0, step=0.25),
        "optimizer": Categorical(["sgd", "adam", "lion"], branches={"sgd": {"momentum": Int(1, 3)}}),
    }
)
# More than any test here needs; it ends a run that would go on forever.
STEP_LIMIT = 50_000


def _spec_with(**changes):
    settings = {
        "name": "mine",
        "model": "train:build",
        "data": "train:load",
        "space": SMALL_SPACE,
        "sampler": "random",
        "pruner": "none",
        "max_epochs": 9,
        "budget": {"epochs": 60},
    }
    chosen = settings | changes
    if chosen["pruner"] in (
        "asha",
        "asha-promote",
        "successive-halving",
    ):  # small examples start at epoch 1, whatever the default is
        chosen["pruner_options"] = {"min_epochs": 1} | chosen.get("pruner_options", {})
    if chosen["pruner"] == "threshold":  # it needs a bound
        chosen["pruner_options"] = {"upper": 1.1} | chosen.get("pruner_options", {})
    if chosen["sampler"].startswith("tune-"):  # no other executor runs it
        chosen = {"executor": "tune"} | chosen
    return StudySpec.model_validate(chosen)


@lru_cache(maxsize=100_000)
def _loss_of(key, epoch):
    floor, height, speed, *noise = np.random.default_rng([zlib.crc32(key.encode()), epoch // 1000]).random(30)
    return floor + height * exp(-speed * epoch) + 0.05 * noise[epoch % len(noise)]


def _curve(params, epoch):
    """A learning curve: equal params give equal losses, whoever trains them."""
    return float(_loss_of(json.dumps(dict(params), sort_keys=True), epoch))


def _through_the_rows(spec, events):
    """The events as a database would give them back, JSON included."""
    history = History(spec)
    for event in events:
        history.apply(event)
    rows = rows_from(1, enumerate(events, start=1), history)
    told = [(row["seq"], event_from(row["kind"], _through_json(row["data"]))) for row in rows.events]
    epochs = [
        (row["seq"], measured_from(row | {"metrics": _through_json(row["metrics"])})) for row in rows.measurements
    ]
    return [event for _, event in sorted(told + epochs, key=lambda pair: pair[0])]


def _through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


class VirtualCluster:
    """Workers that train learning curves, in an order drawn from a seed. They keep to the protocol of `workers/`.

    A worker waits until what it reported is stored; it asks at the granted epoch and hears other answers one report
    late; its checkpoints are made where it waits, and every `checkpoint_every` epochs. All kinds of trouble are
    probabilities, per step for workers and the coordinator, per epoch for the training.
    """

    def __init__(
        self,
        spec,
        *,
        workers=1,
        seed=0,
        curve=_curve,
        search=None,
        lose_worker=0.0,
        blame=0.0,
        kill_coordinator=0.0,
        stop=0.0,
        troubles=20,
        checkpoint_every=None,
        stop_early=0.0,
        diverge=0.0,
        miss_metric=0.0,
        fail=0.0,
        seconds_per_epoch=0.0,
        gpus=0,
    ):
        self.spec = spec
        self.search = search or Search(spec)
        self.stored = []  # survives a kill of the coordinator
        self.assignments = []
        self.troubles = troubles  # how many deaths there may be: without a limit a study might never end
        self._curve = curve
        self._rng = np.random.default_rng(seed)
        self._chance = SimpleNamespace(
            lose_worker=lose_worker, blame=blame, kill_coordinator=kill_coordinator, stop=stop, stop_early=stop_early,
            diverge=diverge, miss_metric=miss_metric, fail=fail,
        )  # fmt: skip
        self._checkpoint_every = checkpoint_every
        self._seconds_per_epoch = seconds_per_epoch
        self._gpus = gpus
        self._workers = workers
        self._stopping = False
        self._start_workers()

    def run(self, *, after_each_step=lambda cluster: None):
        """Begin, work until the study is done, conclude."""
        self.search.begin()
        for _ in range(STEP_LIMIT):
            # A search restored a moment ago only knows that it is done when it has been asked once more.
            if self.search.done and self.search.next() is None:
                if not self._stopping:
                    break
                assert self.search.history.ended or self.search.conclude() is None
                self._store()
                self._restart()
            self.step()
            self._check_limits()
            after_each_step(self)
        else:
            raise AssertionError("the study never ends")
        self._store()
        self.search.conclude()
        self._store()
        return self.search

    def step(self):
        """One worker does the next thing, or somebody dies."""
        if self.troubles and self._happens("kill_coordinator"):
            self._kill_coordinator()
            return
        if self.troubles and self._happens("stop"):
            self.troubles -= 1
            self._stopping = True
            self.search.stop()
            return
        index = int(self._rng.integers(self._workers))
        if self.troubles and self._happens("lose_worker"):
            self._lose_worker(index)
            return
        next(self._serving[index])

    # -- what a trainer and the coordinator's loop around it do ------------------------------------------------------

    def _serve(self, index):
        while True:
            assignment = self.search.next()
            if assignment is None:
                yield
                continue
            self._held[index] = assignment
            yield from self._durably()
            self.assignments.append(assignment)
            yield from self._train(assignment)
            self._held[index] = None

    def _train(self, assignment):
        trial, attempt = assignment.trial, assignment.attempt
        if assignment.until_epoch > assignment.from_epoch:
            verdict = yield from self._fit(assignment)
        else:  # it was told to stop before its last worker died
            verdict = self.search.report(trial, attempt, assignment.from_epoch, {}, ended="budget")
            yield from self._durably()
        yield
        if verdict is None:
            self.search.fail(trial, attempt, "exception", "ValueError: bad params", signature=f"line {trial}")
        elif verdict.action is Action.PAUSE:
            self.search.paused(trial, attempt)
        else:
            self.search.finish(trial, attempt, "budget")
        yield from self._durably()

    def _fit(self, assignment):
        """Train until told to stop; returns the verdict, None where the training raised."""
        epoch, until = assignment.from_epoch, assignment.until_epoch
        pause_wanted, late = False, None
        while True:
            yield
            if self._happens("fail"):
                return None
            epoch += 1
            metrics = self._metrics(assignment.params, epoch)
            self._spend()
            healthy = all(isfinite(value) for value in metrics.values()) and self.spec.objective.metric in metrics
            ended = "early_stopping" if epoch < self.spec.max_epochs and self._happens("stop_early") else ""
            wait = epoch >= until or bool(ended) or not healthy or pause_wanted
            answer = self.search.report(assignment.trial, assignment.attempt, epoch, metrics, seconds=1.0, ended=ended)
            if healthy and (wait or (self._checkpoint_every and epoch % self._checkpoint_every == 0)):
                uri = f"trial-{assignment.trial}/epoch-{epoch}-attempt-{assignment.attempt}"
                self.search.checkpointed(assignment.trial, assignment.attempt, epoch, uri)
            yield from self._durably()
            if wait:
                late = None
            else:
                answer, late = late, answer
            if answer is None:
                continue
            if answer.action is Action.CONTINUE:
                until = answer.until_epoch
            elif wait or answer.action is Action.STOP:
                return answer
            else:
                pause_wanted = True

    def _metrics(self, params, epoch):
        value = self._curve(params, epoch)
        metrics = {"loss": value, self.spec.objective.metric: value}
        if self._happens("diverge"):
            name = ("loss", self.spec.objective.metric)[int(self._rng.integers(2))]
            metrics[name] = (nan, float("inf"))[int(self._rng.integers(2))]
        if self._happens("miss_metric"):
            del metrics[self.spec.objective.metric]
        return metrics

    def _spend(self):
        seconds = self._seconds_per_epoch
        if seconds:
            self.search.spend(wall_seconds=seconds / self._workers, gpu_seconds=seconds * self._gpus)

    # -- storing, and dying ------------------------------------------------------------------------------------------

    def _durably(self):
        """Whoever waits shares a batch: the events of all are stored when one is woken."""
        yield
        self._store()

    def _store(self):
        self.stored += self.search.take_events()

    def _start_workers(self):
        self._held = [None] * self._workers
        self._serving = [self._serve(index) for index in range(self._workers)]

    def _lose_worker(self, index):
        held, self._held[index] = self._held[index], None
        self._serving[index] = self._serve(index)
        if held is None:
            return
        self.troubles -= 1
        trial = self.search.history.trials[held.trial]
        blamed = trial.lost < self.spec.max_attempts - 1 and self._happens("blame")
        self.search.lost(held.trial, held.attempt, "it was killed", blamed=blamed)
        with pytest.raises(StaleAttemptError):
            self.search.report(held.trial, held.attempt, held.from_epoch + 1, {"val_loss": 0.0})

    def _kill_coordinator(self):
        self.troubles -= 1
        if self._rng.random() < 0.5:  # the last batch was stored, and nobody heard of it
            self._store()
        self._restart()

    def _restart(self):
        self.search = Search.restore(self.spec, _through_the_rows(self.spec, self.stored))
        if not self.stored:
            self.search.begin()
        for trial in self.search.history.trials:
            self.search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        self._stopping = False
        self._start_workers()

    def _happens(self, what):
        return self._rng.random() < getattr(self._chance, what)

    def _check_limits(self):
        history, budget = self.search.history, self.spec.budget
        assert len(history.running) <= self._workers
        assert budget.epochs is None or history.ledger.booked_epochs <= budget.epochs
        assert budget.trials is None or sum(trial.parent is None for trial in history.trials) <= budget.trials


class Account:
    """What events say, added up without the code under test; raises AssertionError where they break a rule."""

    def __init__(self, spec, events):
        self.trials = []
        self.ended = None
        self.notices = 0
        self._wall_seconds = self._gpu_seconds = 0.0
        self._spec = spec
        for event in events:
            self._add(event)
            assert spec.budget.epochs is None or sum(map(_booked, self.trials)) <= spec.budget.epochs

    @property
    def epochs(self):
        return sum(len(trial.values) for trial in self.trials)

    @property
    def roots(self):
        return sum(trial.parent is None for trial in self.trials)

    @property
    def _time_is_up(self):
        wall, gpu = self._spec.budget.wall_seconds, self._spec.budget.gpu_hours
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
                assert self._spec.budget.trials is None or self.roots <= self._spec.budget.trials
            case StudyEnded():
                assert self.ended is None
                self.ended = event
            case Reopened():
                self.ended = None
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


class Lockstep:
    """A Search, and others restored from its events on the way; whatever is asked, all must answer alike."""

    def __init__(self, spec):
        self._spec = spec
        self._members = [Search(spec)]
        self._events = []
        self._outbox = []

    @property
    def history(self):
        return self._members[0].history

    @property
    def done(self):
        return self._members[0].done

    def split(self, *, keep=3):
        """Restore one more from the events so far; the oldest copies go."""
        copy = Search.restore(self._spec, _through_the_rows(self._spec, self._events))
        self._members = [self._members[0], *self._members[1:][-(keep - 1) :], copy]

    def take_events(self):
        events, self._outbox = self._outbox, []
        return events

    def __getattr__(self, name):
        def ask_all(*arguments, **options):
            answers = [self._ask(member, name, *arguments, **options) for member in self._members]
            for answer in answers[1:]:
                assert repr(answer) == repr(answers[0]), f"a restored search answers {name} differently"
            events = [member.take_events() for member in self._members]
            for batch in events[1:]:
                assert repr(batch) == repr(events[0]), f"a restored search records other events on {name}"
            self._events += events[0]
            self._outbox += events[0]
            if isinstance(answers[0], StaleAttemptError):
                raise answers[0]
            return answers[0]

        return ask_all

    @staticmethod
    def _ask(member, name, *arguments, **options):
        try:
            return getattr(member, name)(*arguments, **options)
        except StaleAttemptError as error:
            return error


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
        return self.search.report(trial, self.trials[trial].attempt, epoch, metrics, **options)

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

    def restored(self):
        """The Search that the events so far lead to, on a desk of its own; running trials are lost without blame."""
        events = _through_the_rows(self.search.spec, self.search.take_events())
        search = Search.restore(self.search.spec, events)
        for trial in search.history.trials:
            search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        return Desk(search)


@pytest.fixture(scope="session")
def spec_with():
    return _spec_with


@pytest.fixture(scope="session")
def small_space():
    return SMALL_SPACE


@pytest.fixture(scope="session")
def curve():
    return _curve


@pytest.fixture(scope="session")
def through_the_rows():
    return _through_the_rows


@pytest.fixture(scope="session")
def cluster_of():
    return VirtualCluster


@pytest.fixture(scope="session")
def account_of():
    return Account


@pytest.fixture(scope="session")
def lockstep_of():
    return Lockstep


@pytest.fixture(scope="session")
def desk_with():
    """A desk over a new Search, from changes to the usual spec."""
    return lambda **changes: Desk(Search(_spec_with(**changes)))
