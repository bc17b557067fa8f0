"""Checkpoints go as soon as nobody needs them, and none before."""

import pytest

from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Checkpointed, Ended
from bandstand_workers.coordinator.recording.checkpoint_sweep import CheckpointSweep
from tests.service.search.harness.virtual_cluster import VirtualCluster

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "units": {"type": "int", "low": 1, "high": 64},
}
STRATEGIES = {
    "asha-promote": {"sampler": "random", "pruner": "asha-promote"},
    "hyperband": {"sampler": "random", "pruner": "hyperband"},
    "successive-halving": {"sampler": "random", "pruner": "successive-halving"},
    "pbt": {"sampler": "pbt", "sampler_options": {"population": 8, "interval": 2}},
    "pb2": {"sampler": "pb2", "sampler_options": {"population": 6, "interval": 3}},
    "lr-restarts": {"sampler": "lr-restarts", "sampler_options": {"cycle_epochs": 2, "configurations": 10}},
    "ensemble": {
        "sampler": "lr-restarts", "sampler_options": {"cycle_epochs": 2, "configurations": 10, "result": "ensemble"},
        "objective": {"metric": "val_loss", "direction": "minimize"},
    },
}  # fmt: skip


class SweptCluster(VirtualCluster):
    """Keeps the files of a study's checkpoints as a journal does: swept when events have been stored."""

    def __init__(self, *arguments, **options):
        self.files, self.most = set(), 0
        self._swept = None
        super().__init__(*arguments, **options)

    def _store(self):
        if self._swept is not self.search:  # the coordinator is another one
            self._swept, self._sweep = self.search, CheckpointSweep(self.search)
        events = self.search.take_events()
        self.stored += events
        self.files |= {(event.trial, event.epoch) for event in events if isinstance(event, Checkpointed)}
        for trial, needed in self._sweep.due(events).items():
            self.files -= {(other, epoch) for other, epoch in self.files if other == trial and epoch not in needed}
        self.most = max(self.most, len(self.files))
        if events:
            self.check(events)

    def check(self, events):
        assert not self.needed() - self.files

    def needed(self):
        known = {(event.trial, event.epoch) for event in self.stored if isinstance(event, Checkpointed)}
        search = self.search
        return known & {
            (trial.number, epoch)
            for trial in search.history.trials
            for epoch in search.models.needed_checkpoints(trial.number)
        }


class TidyCluster(SweptCluster):
    """One whose coordinators live, so that nothing superfluous is ever there."""

    def check(self, events):
        super().check(events)
        if any(isinstance(event, Checkpointed | Ended) for event in events):
            # Where more trials have some than are looked at each time, a few wait for their turn.
            assert len(self.files - self.needed()) <= (0 if len(self.files) <= 20 else 3)


def spec_of(name):
    settings = {
        "name": "mine", "model": "train:build", "data": "train:load", "space": SPACE, "max_epochs": 9,
        "budget": {"epochs": 150}, "pruner": "",
    }  # fmt: skip
    return StudySpec.model_validate(settings | STRATEGIES[name])


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("workers", [1, 5])
def test_what_nobody_needs_is_gone_after_every_batch(name, workers):
    cluster = TidyCluster(spec_of(name), workers=workers, seed=3)
    search = cluster.run()
    assert len(search.history.trials) > 8
    assert sum(isinstance(event, Checkpointed) for event in cluster.stored) > cluster.most > 0


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_is_needed_goes_though_workers_and_coordinators_die(name, seed):
    """What is needed is so by the events that are stored: of the others nobody may have heard."""

    looked_at = set()

    def resume(cluster):
        if len(cluster.stored) in looked_at:
            return
        looked_at.add(len(cluster.stored))
        restored = Search.restore(cluster.spec, cluster.stored)
        known = {(event.trial, event.epoch) for event in cluster.stored if isinstance(event, Checkpointed)}
        for trial in restored.history.trials:
            for epoch in restored.models.needed_checkpoints(trial.number):
                assert (trial.number, epoch) in cluster.files or (trial.number, epoch) not in known

    cluster = SweptCluster(
        spec_of(name), workers=4, seed=seed, lose_worker=0.02, kill_coordinator=0.01, blame=0.2, checkpoint_every=2
    )
    cluster.run(after_each_step=resume)
    assert cluster.troubles < 20
    assert cluster.most
