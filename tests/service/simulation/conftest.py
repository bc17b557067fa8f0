"""Curves and workers made by hand."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest

from bandstand.simulation import Advance
from bandstand.study.study_spec import study_spec_from
from bandstand_spaces import Float, SearchSpace

SPACE = SearchSpace({"learning_rate": Float(1e-5, 1e-1, log=True), "dropout": Float(0.0, 0.5)})


class HandCurve:
    """Values and seconds as given; the state is the epoch, so that a wrong checkpoint is noticed."""

    def __init__(self, values, seconds):
        self._values = values
        self._seconds = seconds

    def start(self):
        return 0

    def advance(self, state, epoch, learning_rate=None):
        assert state == epoch - 1
        return Advance(epoch, {"val_loss": self._values[epoch - 1]}, self._seconds)


class HandCurves:
    """A curve for each trial, in the order in which they are first opened."""

    def __init__(self, *values, seconds=10.0):
        self._values = list(values)
        self._seconds = seconds
        self._by_params = {}

    def open(self, params, seed):
        key = tuple(params.items())
        if key not in self._by_params:
            self._by_params[key] = HandCurve(self._values[len(self._by_params)], self._seconds)
        return self._by_params[key]


class MortalCluster:
    """Workers of speed 1 that live as long as is said, then for ever."""

    def __init__(self, *lifetimes, start_seconds=0.0):
        self._lifetimes = lifetimes
        self._start_seconds = start_seconds
        self.workers = len(lifetimes)

    def luck_of(self, worker):
        left = list(self._lifetimes[worker])
        return SimpleNamespace(
            speed=1.0,
            start_seconds=self._start_seconds,
            epoch_seconds=lambda seconds: seconds,
            lifetime_seconds=lambda: left.pop(0) if left else inf,
        )


def _spec_with(**changes):
    settings = {
        "name": "simulated",
        "model": "train:build",
        "data": "train:load",
        "space": SPACE,
        "sampler": "random",
        "pruner": "none",
        "max_epochs": 4,
        "budget": {"trials": 3},
    }
    return study_spec_from(settings | changes, "test")


@pytest.fixture
def spec_with():
    return _spec_with


@pytest.fixture
def hand_curves():
    return HandCurves


@pytest.fixture
def mortal_cluster():
    return MortalCluster
