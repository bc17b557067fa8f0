"""Libraries changed as a later version may change them, to see that the canaries die of it.

Importing this module makes the change that BANDSTAND_TEST_CHANGE names, and nothing where it is not set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

__all__ = ["CHANGES"]


def symbolic_build_is_renamed() -> None:
    import keras  # noqa: F401
    from keras.src.trainers.trainer import Trainer

    Trainer.build_symbolically = Trainer._symbolic_build
    del Trainer._symbolic_build


def symbolic_build_takes_other_arguments() -> None:
    import keras  # noqa: F401
    from keras.src.trainers.trainer import Trainer

    build = Trainer._symbolic_build
    Trainer._symbolic_build = lambda self, iterator=None, batch=None: build(self, iterator, batch)


def callbacks_get_hooks_of_their_own() -> None:
    import keras

    def init(self: Any) -> None:
        self.params, self._model = None, None
        for name in ("on_train_batch_end", "on_test_batch_end"):
            if getattr(type(self), name) is getattr(keras.callbacks.Callback, name):
                setattr(self, name, lambda batch, logs=None: None)

    keras.callbacks.Callback.__init__ = init


def callbacks_keep_their_model_elsewhere() -> None:
    import keras

    base = keras.callbacks.Callback
    base.set_model = lambda self, model: setattr(self, "_trained_model", model)
    base.model = property(lambda self: self._trained_model)


def layer_names_are_counted_elsewhere() -> None:
    import keras  # noqa: F401
    from keras.src.utils import naming

    naming.reset_uids = lambda: None


def keras_keeps_its_seed_elsewhere() -> None:
    import random

    import keras
    from keras.src.random import seed_generator

    generator, set_seed = random.Random(), keras.utils.set_random_seed

    def set_elsewhere_too(seed: int) -> None:
        set_seed(seed)
        generator.seed(seed)

    keras.utils.set_random_seed = set_elsewhere_too
    seed_generator.make_default_seed = lambda: generator.randint(1, 10**9)


def tensorflow_keeps_its_seed_elsewhere() -> None:
    import random

    from tensorflow.python.eager.context import Context

    set_seed = Context._set_global_seed

    def set_elsewhere(self: Any, seed: int) -> None:
        set_seed(self, seed)
        self._generator = random.Random(seed)

    Context._set_global_seed = set_elsewhere
    Context._internal_operation_seed = lambda self: self._generator.randint(0, 2**31 - 1)


def traced_gradients_have_other_names() -> None:
    import itertools

    from tensorflow.python.ops import custom_gradient

    numbers = itertools.count()
    custom_gradient.generate_name = lambda: f"TracedGradient-{next(numbers)}"


def ray_sends_requests_otherwise() -> None:
    from ray.dashboard.modules.dashboard_sdk import SubmissionClient
    from ray.job_submission import JobSubmissionClient

    SubmissionClient._send = SubmissionClient._do_request
    for kind in (SubmissionClient, JobSubmissionClient):
        for function in vars(kind).values():
            code = getattr(function, "__code__", None)
            if code is not None and "_do_request" in code.co_names:
                names = tuple("_send" if name == "_do_request" else name for name in code.co_names)
                function.__code__ = code.replace(co_names=names)


def ray_words_its_errors_otherwise() -> None:
    from ray.dashboard.modules.dashboard_sdk import SubmissionClient

    def raise_error(self: Any, response: Any) -> None:
        raise RuntimeError(f"HTTP {response.status_code}: {response.text}")

    SubmissionClient._raise_error = raise_error


def ray_logs_under_other_names() -> None:
    from ray._private.runtime_env import packaging
    from ray.dashboard.modules import dashboard_sdk
    from ray.dashboard.modules.job import sdk

    dashboard_sdk.logger = sdk.logger = packaging.default_logger = logging.getLogger("ray.jobs")


def skopt_keeps_its_space_elsewhere() -> None:
    from skopt import Optimizer

    Optimizer.space = property(
        lambda self: self.__dict__["kept"], lambda self, space: self.__dict__.setdefault("kept", space)
    )


def skopt_draws_candidates_otherwise() -> None:
    from skopt.space import Space

    draw = Space.rvs
    Space.sample = lambda self, n_samples=1, random_state=None: draw(self, n_samples, random_state)
    import skopt.optimizer.optimizer as module

    code = module.Optimizer._tell.__code__
    names = tuple("sample" if name == "rvs" else name for name in code.co_names)
    module.Optimizer._tell.__code__ = code.replace(co_names=names)


def typer_raises_usage_errors_of_another_kind() -> None:
    import typer

    class Wrong(typer.BadParameter):
        pass

    Wrong.__name__ = "UsageError"
    typer.BadParameter = Wrong


CHANGES: dict[str, Callable[[], None]] = {
    change.__name__: change
    for change in (
        symbolic_build_is_renamed,
        symbolic_build_takes_other_arguments,
        callbacks_get_hooks_of_their_own,
        callbacks_keep_their_model_elsewhere,
        layer_names_are_counted_elsewhere,
        keras_keeps_its_seed_elsewhere,
        tensorflow_keeps_its_seed_elsewhere,
        traced_gradients_have_other_names,
        ray_sends_requests_otherwise,
        ray_words_its_errors_otherwise,
        ray_logs_under_other_names,
        skopt_keeps_its_space_elsewhere,
        skopt_draws_candidates_otherwise,
        typer_raises_usage_errors_of_another_kind,
    )
}

if "BANDSTAND_TEST_CHANGE" in os.environ:
    CHANGES[os.environ["BANDSTAND_TEST_CHANGE"]]()
