"""Workloads: the same trainings for everybody.

A workload is a space, a way through it, and how each configuration is trained. Its configurations follow from that, so
that Bandstand's own sampler visits exactly what the others are given as a list.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bandstand_spaces import SEARCH_SPACES, Categorical, SearchSpace

__all__ = ["WORKLOADS", "Workload"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Trainings whose number, lengths and data are fixed."""

    name: str
    model: str  # module:function
    data: str  # module:function
    space: SearchSpace
    sampler: str  # grid, or random with `trials`
    trials: int | None = None
    epochs: int  # of each training; with `halving`, at most
    batch_size: int | str  # a number, or the parameter that holds it
    metric: str = "val_accuracy"
    direction: str = "maximize"
    processes: int = 2
    seed: int = 11
    halving: bool = False  # asynchronous successive halving from epoch 1 with η = 3, in place of full trainings

    @property
    def configurations(self) -> list[dict[str, Any]]:
        """The params of all trainings."""
        if self.sampler == "grid":
            return [dict(params) for params in self.space.grid()]
        from bandstand.strategies.samplers.random_search import RandomSampler

        sampler = RandomSampler(self.space, self.seed)
        return [dict(sampler.propose(number)) for number in range(self.trials or 0)]

    def batch_size_for(self, params: Mapping[str, Any]) -> int:
        """Examples per step of a training with these params."""
        return self.batch_size if isinstance(self.batch_size, int) else int(params[self.batch_size])

    def best(self, values: list[float]) -> float:
        """The best of some values of the metric."""
        return max(values) if self.direction == "maximize" else min(values)

    def load_data(self) -> dict[str, Any]:
        """The data set, as its loader gives it."""
        return _function(self.data)()  # type: ignore[no-any-return]

    def build_model(self, params: Mapping[str, Any]) -> Any:
        """A compiled model."""
        return _function(self.model)(dict(params))

    def __str__(self) -> str:
        count = self.trials or self.space.size
        until = "up to " if self.halving else ""
        return f"{count} trainings of {until}{self.epochs} epochs of {self.model.split('.')[-1].split(':')[0]}"


def _function(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def _choices(**values: list[Any]) -> SearchSpace:
    return SearchSpace({name: Categorical(choices) for name, choices in values.items()})


_DIGITS = {"model": "bandstand_workers.models.digits_mlp:build", "data": "bandstand_workers.datasets.digits:load"}
_CALIFORNIA = {
    "model": "bandstand_workers.models.california_mlp:build",
    "data": "bandstand_workers.datasets.california:load",
}
_SGD: dict[str, list[Any]] = {"optimizer": ["sgd"], "momentum": [0.9], "nesterov": [False]}

_ALL = (
    Workload(
        name="digits",
        **_DIGITS,
        space=_choices(
            units=[32, 64, 128],
            layers=[1, 2],
            dropout=[0.1, 0.3],
            **_SGD,
            learning_rate=[0.003, 0.01, 0.03, 0.1, 0.2],
        ),
        sampler="grid",
        epochs=9,
        batch_size=32,
    ),
    Workload(
        name="california",
        **_CALIFORNIA,
        space=_choices(
            units=[32, 64, 128],
            layers=[1, 2],
            activation=["relu"],
            l2=[1e-6, 1e-4],
            learning_rate=[0.0003, 0.001, 0.003, 0.01, 0.03],
        ),
        sampler="grid",
        epochs=9,
        batch_size=128,
        metric="val_mae",
        direction="minimize",
    ),
    Workload(
        name="mnist_mlp",
        model="bandstand_workers.models.mnist_mlp:build",
        data="bandstand_workers.datasets.mnist:load",
        space=_choices(
            layers=[1, 2], units=[64, 128], activation=["relu"], dropout=[0.2], **_SGD, learning_rate=[0.03, 0.1]
        ),
        sampler="grid",
        epochs=3,
        batch_size=128,
    ),
    Workload(
        name="mnist_lenet",
        model="bandstand_workers.models.mnist_lenet:build",
        data="bandstand_workers.datasets.mnist:load",
        space=_choices(
            filters=[8],
            kernel_size=[5],
            activation=["relu"],
            dense_units=[64, 128],
            dropout=[0.2],
            **_SGD,
            learning_rate=[0.03, 0.1],
        ),
        sampler="grid",
        epochs=3,
        batch_size=128,
    ),
    Workload(
        name="smoke",
        **_DIGITS,
        space=_choices(units=[16], layers=[1], dropout=[0.1], **_SGD, learning_rate=[0.01, 0.03, 0.1, 0.2]),
        sampler="grid",
        epochs=2,
        batch_size=32,
    ),
    Workload(
        name="overhead",
        **_DIGITS,
        space=SEARCH_SPACES["digits_mlp"],
        sampler="random",
        trials=40,
        epochs=9,
        batch_size="batch_size",
    ),
    Workload(
        name="asha",
        **_DIGITS,
        space=SEARCH_SPACES["digits_mlp"],
        sampler="random",
        trials=200,
        epochs=27,
        batch_size="batch_size",
        halving=True,
    ),
)

WORKLOADS: Mapping[str, Workload] = MappingProxyType({workload.name: workload for workload in _ALL})
