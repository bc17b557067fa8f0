"""Keras's private parts. Each function names the part that it stands on, and what happens if Keras gives it up.

Knows Keras 3.13 to 3.15, where all of them are the same. Must not know TensorFlow's or JAX's own, nor programs, trials
or checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import naming, rng_utils

__all__ = ["all_layers", "build_symbolically", "compiled_with", "set_seed_and_forget_names"]


def build_symbolically(model: Any, batch: Any) -> None:
    """Make the variables of a compiled model's metrics, loss and optimizer from the shapes of a batch, without a step.

    Stands on `Trainer._symbolic_build(data_batch=)`. There is no public way but to train or test on a batch. If it
    goes, an AttributeError is raised, which `programs.building` cannot tell from a model that cannot be built: every
    model on JAX is trained by `fit`, with a note, and every one on TensorFlow resets its metrics one by one.

    Raises:
        Exception: whatever the model raises where it sees symbolic inputs.
    """
    model._symbolic_build(data_batch=batch)


def set_seed_and_forget_names(seed: int) -> None:
    """Have Keras name the next layers, and draw its next random numbers, as a fresh process with this seed does.

    Stands on `naming.reset_uids` and on the global attributes of seed and seed generator: what
    `keras.utils.set_random_seed` and `keras.backend.clear_session` do among other things, which are not wanted here.
    If a module or a name of one goes, this module does not import and no trainer starts. If Keras keeps its seed
    elsewhere, trials lose their seeds without a word.
    """
    naming.reset_uids()
    global_state.set_global_attribute(rng_utils.GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, None)


def compiled_with(model: Any) -> dict[str, Any]:
    """What `compile` was given, by the names of its parameters: the user's own objects, not their descriptions.

    Stands on `Trainer._compile_config.config`. The public `get_compile_config` describes the objects, and a plain
    function cannot be made again from its description. If it goes, an AttributeError ends studies with result
    `ensemble` after their search.
    """
    given: dict[str, Any] = model._compile_config.config
    return given


def all_layers(model: Any) -> Iterable[Any]:
    """The layers within a model, however deep, without the model; those in attributes and lists of a layer included.

    Stands on `Layer._flatten_layers(include_self=)`; the public `layers` leaves out what a user's own layer holds. If
    it goes, an AttributeError ends studies with result `average` after their search.
    """
    layers: Iterable[Any] = model._flatten_layers(include_self=False)
    return layers
