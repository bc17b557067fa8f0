"""Checkpoints go as soon as nobody needs them, and none before."""

from statistics import median

import pytest

from service.events import Checkpointed
from service.study import StudySpec
from tests.service.search.virtual_cluster import VirtualCluster
from workers.checkpoint_sweep import CheckpointSweep

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


class Files:
    """What lies on the disk of a study, swept after each batch of events as a journal does it."""

    def __init__(self):
        self.there, self.most, self._swept, self._search = set(), 0, 0, None

    def follow(self, cluster):
        if cluster.search is not self._search:  # the coordinator is another one
            self._search, self._sweep = cluster.search, CheckpointSweep(cluster.search)
        batch, self._swept = cluster.stored[self._swept :], len(cluster.stored)
        self.there |= {(event.trial, event.epoch) for event in batch if isinstance(event, Checkpointed)}
        for trial, needed in self._sweep.due(batch).items():
            self.there -= {(other, epoch) for other, epoch in self.there if other == trial and epoch not in needed}
        self.most = max(self.most, len(self.there))
        missing = self.needed(cluster) - self.there
        assert not missing
        for assignment in cluster.assignments[-1:]:
            trial = cluster.search.history.trials[assignment.trial]
            if assignment.checkpoint_of is not None and not trial.has_own_checkpoint and not trial.state.is_final:
                assert (assignment.checkpoint_of, assignment.from_epoch) in self.there

    def needed(self, cluster):
        search = cluster.search
        known = {(event.trial, event.epoch) for event in cluster.stored if isinstance(event, Checkpointed)}
        return {
            (trial.number, epoch)
            for trial in search.history.trials
            for epoch in search.needed_checkpoints(trial.number)
            if (trial.number, epoch) in known
        }


def spec_of(name):
    settings = {
        "name": "mine", "model": "train:build", "data": "train:load", "space": SPACE, "max_epochs": 9,
        "budget": {"epochs": 150}, "pruner": "",
    }  # fmt: skip
    return StudySpec.model_validate(settings | STRATEGIES[name])


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("workers", [1, 5])
def test_what_nobody_needs_is_gone_after_every_batch(name, workers):
    files, stale = Files(), []

    def look(cluster):
        files.follow(cluster)
        stale.append(len(files.there - files.needed(cluster)))

    cluster = VirtualCluster(spec_of(name), workers=workers, seed=3)
    search = cluster.run(after_each_step=look)
    assert len(search.history.trials) > 8
    assert sum(isinstance(event, Checkpointed) for event in cluster.stored) > files.most > 0
    # What a decision that is not stored yet makes superfluous goes with the batch that stores it.
    assert median(stale) == 0
    assert max(stale) <= 15


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_that_is_needed_goes_though_workers_and_coordinators_die(name):
    files = Files()
    cluster = VirtualCluster(
        spec_of(name), workers=4, seed=5, lose_worker=0.02, kill_coordinator=0.01, blame=0.2, checkpoint_every=2
    )
    cluster.run(after_each_step=files.follow)
    assert cluster.troubles < 20
    assert files.most
