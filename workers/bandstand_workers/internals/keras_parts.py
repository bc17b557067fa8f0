"""Keras's private parts. Each function names the part that it stands on, and what happens if Keras gives it up.

Knows Keras 3.13 to 3.15, where all of them are the same. Must not know TensorFlow's or JAX's own, nor programs, trials
or checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import naming, rng_utils

__all__ = [
    "all_layers",
    "build_symbolically",
    "caches_of",
    "compiled_with",
    "has_random_seed",
    "is_cast",
    "set_seed_and_forget_names",
    "weights_without_values",
    "without_identities",
]

_CACHES = frozenset(
    # Book-keeping of TensorFlow's checkpoints, and of what is tracked under which attribute.
    {"_self_name_based_restores", "_self_saveable_object_factories", "_self_setattr_tracking",
     "_self_unconditional_checkpoint_dependencies", "_self_unconditional_deferred_dependencies",
     "_self_unconditional_dependency_names", "_self_update_uid", "_tracker", "_lock", "_loss_ids", "_tracked",
     "_obj_reference_counts_dict"}
    # Told by the class, or by what stands in other attributes.
    | {"_call_signature", "call_signature_parameters", "_call_context_args", "_call_has_context_arg",
       "_call_has_mask_arg", "_call_has_training_arg", "_build_shapes_dict", "_path", "_parent_path", "build",
       "quantize", "_compile_config", "_compiled_trainable_state", "_saved_model_inputs_spec",
       "_saved_model_arg_spec", "_called", "_losses", "_distribute_strategy", "_distribution_strategy"}
    # The graph beyond this model, as nodes by operation; within it they stand in `_nodes_by_depth`.
    | {"_inbound_nodes", "_outbound_nodes", "_operations_by_depth", "_nodes", "_input_tensor"}
    # What training leaves behind.
    | {"train_function", "test_function", "predict_function", "stop_training", "history", "_initial_epoch",
       "_epoch_iterator", "_jax_state", "_jax_state_synced", "_eval_epoch_iterator", "jax_state"}
    # Of optimizers: places of variables by their identity.
    | {"_trainable_variables_indices", "_exclude_from_weight_decay_cache"}
)  # fmt: skip
"""Attributes of layers, models, optimizers, metrics and losses that no step reads."""


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


def caches_of(value: Any) -> frozenset[str]:
    """The names of the attributes of one of Keras's objects, or of an object of a class derived from one, that no
    training step reads, or whose content other attributes say too.

    Stands on the names of private attributes of layers, models, optimizers and metrics. If one is renamed, models are
    not found to be equal that are, so that each is traced anew: slow, and a test says so.
    """
    if isinstance(value, keras.Operation | keras.optimizers.Optimizer | keras.metrics.Metric | keras.losses.Loss):
        own = type(value).__module__.startswith("keras.")
        return _CACHES | {"_auto_config"} if own else _CACHES
    if type(value).__module__.startswith("keras."):
        return _CACHES | {"_initial_seed", "_init_seed"}
    return frozenset()


def has_random_seed(value: Any) -> bool:
    """Whether this is one of Keras's initializers whose seed nobody has set, so that it was drawn.

    Stands on `RandomInitializer._init_seed`. If it goes, models of a user's layer that holds an initializer are traced
    anew for each trial.
    """
    own = isinstance(value, keras.initializers.Initializer) and type(value).__module__.startswith("keras.")
    return own and getattr(value, "_init_seed", 0) is None


def without_identities(owner: Any, name: str, value: Any, variables: Iterable[Any]) -> Any:
    """The value of an attribute, with variables' paths where Keras keeps their identities.

    Stands on `Optimizer._exclude_from_weight_decay`, a set of what `Optimizer._var_key` gives. If Keras names variables
    otherwise there, models with such an optimizer are traced anew for each trial.

    Args:
        owner: any object.
        name: of its attribute.
        value: of the attribute.
        variables: of the model. Where others are meant, an object is given back that equals no other.
    """
    if name != "_exclude_from_weight_decay" or not isinstance(owner, keras.optimizers.Optimizer):
        return value
    paths = {owner._var_key(variable): variable.path for variable in variables}
    return sorted(paths[key] for key in value) if paths.keys() >= set(value) else object()


def is_cast(variable: Any) -> bool:
    """Whether a variable is read in the layer's precision where that is another than its own.

    Stands on `Variable._autocast`. If it goes, an AttributeError has every model traced anew for each trial.
    """
    return bool(variable._autocast)


@contextmanager
def weights_without_values() -> Iterator[None]:
    """Let layers that are built meanwhile have weights with shapes and no values, which take no memory.

    Such a model can be counted and nothing else. Stands on the global attribute that lists variables whose values are
    put off, and on `Layer.add_weight` as the one way in which layers make weights. If it changes, a model that is too
    large to be built is not counted, without a word.
    """
    add_weight = keras.Layer.add_weight

    def add(layer: Any, *arguments: Any, **named: Any) -> Any:
        with keras.StatelessScope(initialize_variables=False):
            variable = add_weight(layer, *arguments, **named)
        global_state.set_global_attribute("uninitialized_variables", [])
        return variable

    keras.Layer.add_weight = add
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight
