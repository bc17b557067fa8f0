"""Virtual workers around a Search, with every kind of trouble. Knows the protocol of `bandstand_workers`."""

import json
import zlib
from functools import lru_cache
from math import exp, isfinite, nan
from types import SimpleNamespace

import numpy as np
import pytest

from bandstand.search.protocol import Measurement, StaleAttemptError
from bandstand.search.search import Search
from bandstand.trials.events import Action
from tests.service.search.harness.stored_events import through_the_rows

__all__ = ["VirtualCluster", "learning_curve"]


# More than any test here needs; it ends a run that would go on forever.
STEP_LIMIT = 50_000


@lru_cache(maxsize=100_000)
def _loss_of(key, epoch):
    floor, height, speed, *noise = np.random.default_rng([zlib.crc32(key.encode()), epoch // 1000]).random(30)
    return floor + height * exp(-speed * epoch) + 0.05 * noise[epoch % len(noise)]


def learning_curve(params, epoch):
    """A learning curve: equal params give equal losses, whoever trains them."""
    return float(_loss_of(json.dumps(dict(params), sort_keys=True), epoch))


class VirtualCluster:
    """Workers that train learning curves, in an order drawn from a seed, by the protocol of `bandstand_workers`.

    A worker waits until what it reported is stored; it asks at the granted epoch and hears other answers one report
    late; its checkpoints are made where it waits, and every `checkpoint_every` epochs, and may turn out to be damaged.
    All kinds of trouble are probabilities, per step for workers and the coordinator, per epoch for the training, per
    resumed attempt for checkpoints.
    """

    def __init__(
        self,
        spec,
        *,
        workers=1,
        seed=0,
        curve=learning_curve,
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
        refuse_checkpoint=0.0,
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
            diverge=diverge, miss_metric=miss_metric, fail=fail, refuse_checkpoint=refuse_checkpoint,
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
        may_be_damaged = assignment.checkpoint_of is not None and self.troubles and self._chance.refuse_checkpoint
        if may_be_damaged and self._happens("refuse_checkpoint"):
            self.troubles -= 1
            self.search.refuse_checkpoint(trial, attempt, "it is damaged")
            yield from self._durably()
            return
        if assignment.until_epoch > assignment.from_epoch:
            verdict = yield from self._fit(assignment)
        else:  # it was told to stop before its last worker died
            verdict = self.search.report(
                trial, attempt, Measurement(epoch=assignment.from_epoch, metrics={}, ended="budget")
            )
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
            answer = self.search.report(
                assignment.trial,
                assignment.attempt,
                Measurement(epoch=epoch, metrics=metrics, seconds=1.0, ended=ended),
            )
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
            self.search.report(
                held.trial, held.attempt, Measurement(epoch=held.from_epoch + 1, metrics={"val_loss": 0.0})
            )

    def _kill_coordinator(self):
        self.troubles -= 1
        if self._rng.random() < 0.5:  # the last batch was stored, and nobody heard of it
            self._store()
        self._restart()

    def _restart(self):
        self.search = Search.restore(self.spec, through_the_rows(self.spec, self.stored))
        if not self.stored:
            self.search.begin()
        for trial in self.search.history.trials:
            self.search.lost(trial.number, trial.attempt, "the coordinator ended", blamed=False)
        self._stopping = False
        self._start_workers()

    def _happens(self, what):
        return self._rng.random() < getattr(self._chance, what)

    def _check_limits(self):
        history, budget = self.search.history, self.search.history.ledger.budget
        assert len(history.running) <= self._workers
        assert budget.epochs is None or history.ledger.booked_epochs <= budget.epochs
        assert budget.trials is None or sum(trial.parent is None for trial in history.trials) <= budget.trials
