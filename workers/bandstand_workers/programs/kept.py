"""Models kept with their programs, so that a later trial of the same signature traces nothing.

Knows what must be put back into a used model so that it is as good as new. Must not know which trial wants it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import keras
import numpy as np

from bandstand_workers.programs.constants import Slot
from bandstand_workers.programs.loop import EpochProgram

__all__ = ["KeptModel", "KeptModels"]


class KeptModel:
    """A model, the program that trains it, and what its optimizer looked like before the first step."""

    def __init__(self, signature: str, model: Any, program: EpochProgram, slots: list[Slot]):
        """Take over a freshly built model; its slots become variables, which its program must be traced with."""
        self.signature = signature
        self.model = model
        self.program = program
        self._slots = slots
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._optimizer = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.optimizer.variables]
        for slot in slots:
            slot.make_variable()

    def renew(self, fresh: Any, constants: list[float]) -> None:
        """Make it equal to a fresh model of the same signature: weights, optimizer, learning rate, constants."""
        for variable, new in zip(self.model.variables, fresh.variables, strict=True):
            variable.assign(new.value)
        self.renew_optimizer(constants)
        rate = fresh.optimizer.learning_rate
        if isinstance(rate, keras.Variable):
            self.model.optimizer.learning_rate.assign(rate.value)

    def renew_optimizer(self, constants: list[float]) -> None:
        """Put the optimizer back to its beginning, and set the constants; the weights come from elsewhere."""
        for variable, initial in zip(self.model.optimizer.variables, self._optimizer, strict=True):
            variable.assign(initial)
        for slot, value in zip(self._slots, constants, strict=True):
            if value != slot.value:
                slot.set(value)


class KeptModels:
    """The models of the programs used last, up to a number: each model holds its weights, each program a graph.

    A model is lent to one training at a time.
    """

    def __init__(self, limit: int = 32, models: int = 128):
        """Keep `limit` programs at most, and at most so many models, but one for each program."""
        self._limit = limit
        self._most_models = max(models, limit)
        self._programs: OrderedDict[str, tuple[EpochProgram, list[KeptModel]]] = OrderedDict()

    def __len__(self) -> int:
        """How many programs there are."""
        return len(self._programs)

    def take(self, signature: str) -> KeptModel | None:
        """A model of this signature that nobody trains, to be given back."""
        _, free = self._programs.get(signature, (None, []))
        return free.pop() if free else None

    def program(self, signature: str) -> EpochProgram | None:
        """A program of this signature, whose model may be in training."""
        return self._programs.get(signature, (None, []))[0]

    def lent(self, kept: KeptModel) -> None:
        """Count a new model as lent; the program not used for longest goes where there are too many."""
        _, free = self._programs.get(kept.signature, (None, []))
        self._programs[kept.signature] = kept.program, free
        self._programs.move_to_end(kept.signature)
        while len(self._programs) > self._limit:
            self._programs.popitem(last=False)

    def give_back(self, kept: KeptModel) -> None:
        """Have a model serve again; better not one whose training raised: nobody knows what that left behind."""
        if kept.signature in self._programs:
            self._programs[kept.signature][1].append(kept)
            self._programs.move_to_end(kept.signature)
        excess = sum(len(free) for _, free in self._programs.values()) - self._most_models
        for _, free in self._programs.values():
            dropped = min(max(excess, 0), max(len(free) - 1, 0))
            del free[:dropped]
            excess -= dropped
