"""The trainer: a long-lived Ray actor that owns its CPUs or GPU and trains trials, one by one or several at once.

Knows Ray's actors and the devices of this process. What a training is, `training` knows.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ray

from bandstand.errors import InputError
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import Resources, StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.fleet.handles import CoordinatorHandle
from bandstand_workers.fleet.memory_watch import MemoryWatch
from bandstand_workers.messages import Inputs, MemoryWord, Outcome, TrialUnwantedError
from bandstand_workers.training.memory.memory_limit import MemoryLimit

if TYPE_CHECKING:  # it imports Keras, which a process must not have before its devices are set up
    from bandstand_workers.training.loaded_study import LoadedStudy

__all__ = ["CoordinatorLink", "Trainer", "TrainerActor"]


_UNSENT_LIMIT = 64
"""Epochs that may wait to be sent: a bound on what is lost with the process."""
_MOST_BASELINE = 0.9
"""The share of `resources.memory_gb` that code and data may take, so that the limit is held while trials train."""
_TELL_SECONDS = 2.0
"""How long a process that runs out of memory waits until the coordinator knows."""
_SEND_SECONDS = 0.2
"""Between two calls, unless the trial must ask: nobody looks more often, and a call costs as much as a short epoch."""


class CoordinatorLink:
    """Reports to a coordinator actor, one call at a time.

    An epoch that ends while a call is under way, or right after one, goes with the next, so that short epochs do not
    wait for answers and a busy coordinator gets fewer calls. Only where the trial must ask does it wait.
    """

    def __init__(
        self,
        coordinator: CoordinatorHandle,
        trial: int,
        attempt: int,
        heard: Callable[[Measurement], None] | None = None,
    ):
        """`heard` is told of each epoch too, at once."""
        self._coordinator = coordinator
        self._trial = trial
        self._attempt = attempt
        self._heard = heard
        self._under_way: Any = None
        self._unsent: list[Measurement] = []
        self._sent_at = -_SEND_SECONDS

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict | None:
        """As `EpochLink.report`.

        Raises:
            TrialUnwantedError: the coordinator is dead, or the trial is somebody else's.
        """
        self._unsent.append(measurement)
        if self._heard is not None:
            self._heard(measurement)
        answer = None
        if self._under_way is not None and (wait or len(self._unsent) >= _UNSENT_LIMIT or self._is_answered()):
            answer = self._wait_for(self._under_way)
            self._under_way = None
        if self._under_way is None and (wait or time.monotonic() - self._sent_at >= _SEND_SECONDS):
            self._under_way = self._send()
        if not wait:
            return answer
        answer, self._under_way = self._wait_for(self._under_way), None
        return answer

    def flush(self) -> None:
        """Have everything known to the coordinator, say because the training has raised.

        Raises:
            TrialUnwantedError: the coordinator is dead, or the trial is somebody else's.
        """
        if self._under_way is not None:
            self._wait_for(self._under_way)
            self._under_way = None
        if self._unsent:
            self._wait_for(self._send())

    def _send(self) -> Any:
        measurements, self._unsent = self._unsent, []
        self._sent_at = time.monotonic()
        return self._coordinator.report.remote(self._trial, self._attempt, measurements)

    def _is_answered(self) -> bool:
        return bool(ray.wait([self._under_way], timeout=0)[0])

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        """As `EpochLink.checkpointed`."""
        self._coordinator.checkpointed.remote(self._trial, self._attempt, epoch, uri, error)

    def _wait_for(self, answer: Any) -> Verdict:
        try:
            verdict = ray.get(answer)
        except ray.exceptions.RayActorError as error:
            raise TrialUnwantedError("the coordinator is gone") from error
        if verdict is None:
            raise TrialUnwantedError("the trial was given to another attempt")
        assert isinstance(verdict, Verdict)
        return verdict


class Trainer:
    """Trains for whatever study it has been prepared for."""

    def __init__(self, resources: Mapping[str, Any], code: CodePlace):
        """Set up this process's devices and import Keras; takes seconds.

        Args:
            resources: of one trainer, as in the study.
            code: where the user's is.
        """
        self._training: LoadedStudy | None = None
        self._baseline_memory_bytes = 0
        _set_up_devices(Resources.model_validate(resources))
        import bandstand_workers.training.loaded_study  # noqa: F401  # Keras, now rather than when the study is there
        from bandstand_workers.training.user_code.loading import answer_no_questions

        answer_no_questions()
        code.enter()  # when all that trains is there, of which no module of the user's can take the place
        gc.collect()
        gc.freeze()  # what Keras and TensorFlow consist of lives on; collections need not look at it again

    def prepare(self, spec: Mapping[str, Any], check: bool) -> str | None:
        """Load a study's code and data; with `check`, also refuse what cannot work.

        Returns:
            Why the study is refused, or None.
        """
        from bandstand_workers.training.loaded_study import LoadedStudy

        study = StudySpec.model_validate(spec)
        earlier = self._training
        try:
            self._training = LoadedStudy(study, earlier)
            if earlier is None or earlier.data is not self._training.data:
                self._baseline_memory_bytes = self.memory_bytes()
            self._training.memory = self._memory_limit(study)
        except InputError as error:
            return str(error)
        return self.check() if check else None

    def check(self) -> str | None:
        """Why the prepared study cannot work, or None; takes a model or two."""
        assert self._training is not None, "prepare comes first"
        try:
            self._training.check()
        except InputError as error:
            return str(error)
        return None

    def train(
        self,
        coordinator: CoordinatorHandle,
        assignment: Assignment,
        folder: str,
        resume_uri: str | None,
        seconds_left: float | None,
        heard: Callable[[Measurement], None] | None = None,
    ) -> Outcome | None:
        """Train an assignment of the prepared study, reporting to `coordinator`, and each epoch to `heard`.

        Returns:
            None where nobody wants the outcome any more.
        """
        assert self._training is not None, "prepare comes first"
        link = CoordinatorLink(coordinator, assignment.trial, assignment.attempt, heard)
        memory = self._training.memory

        def tell(word: MemoryWord) -> None:
            told = coordinator.memory_is_short.remote(assignment.trial, assignment.attempt, word)
            ray.wait([told], timeout=_TELL_SECONDS)

        try:
            with MemoryWatch(memory.limit_bytes, memory.use_of_thread(), tell):
                outcome = self._training.run(
                    assignment, link, folder=folder, resume_uri=resume_uri, seconds_left=seconds_left
                )
            link.flush()
            return dataclasses.replace(outcome, node=ray.get_runtime_context().get_node_id())
        except TrialUnwantedError:
            return None

    def _memory_limit(self, study: StudySpec) -> MemoryLimit:
        """What this process may take for trials; where code and data take nearly all, it is replaced after each."""
        limit = None if study.resources.memory_gb is None else int(study.resources.memory_gb * 1e9)
        if limit is not None and self._baseline_memory_bytes > _MOST_BASELINE * limit:
            limit = None
        return MemoryLimit(limit, self._baseline_memory_bytes)

    def inputs(self) -> Inputs:
        """As `LoadedStudy.inputs`."""
        assert self._training is not None, "prepare comes first"
        return self._training.inputs()

    def make_model(self, checkpoint_uri: str, params: Mapping[str, Any], epoch: int, place: str) -> str | None:
        """As `LoadedStudy.make_model`."""
        assert self._training is not None, "prepare comes first"
        return self._training.make_model(checkpoint_uri, params, epoch, place)

    def combine(self, checkpoint_uris: Sequence[str], params: Mapping[str, Any], how: str, place: str) -> str:
        """As `LoadedStudy.combine`."""
        assert self._training is not None, "prepare comes first"
        return self._training.combine(checkpoint_uris, params, how, place)

    def evaluate(
        self, model_uri: str, params: Mapping[str, Any], split: str, members: int = 1
    ) -> dict[str, float] | None:
        """As `LoadedStudy.evaluate`; None where the data have no such split."""
        assert self._training is not None, "prepare comes first"
        if split not in self._training.data:
            return None
        return self._training.evaluate(model_uri, params, split, members)

    def wait_for_checkpoints(self) -> None:
        """As `LoadedStudy.wait_for_checkpoints`."""
        if self._training is not None:
            self._training.wait_for_checkpoints()

    def baseline_memory_bytes(self) -> int:
        """Resident set of this process when it had loaded its present data and trained nothing with them.

        Not what it has when a study begins: a fleet that runs many studies would grow from one to the next.
        """
        return self._baseline_memory_bytes

    def memory_bytes(self) -> int:
        """Resident set of this process."""
        import psutil

        return int(psutil.Process().memory_info().rss)


# A dead trainer is replaced and its trial resumed by decisions of ours; Ray's own retries would train unasked.
TrainerActor = ray.remote(max_restarts=0, max_task_retries=0)(Trainer)


def _set_up_devices(resources: Resources) -> None:
    """Must run before TensorFlow's first operation, and for GPU masks before its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if resources.gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves all GPUs visible to an actor that asked for none
    on_jax = os.environ.get("KERAS_BACKEND") == "jax"
    if on_jax:
        _set_up_jax(resources)
    import tensorflow as tf

    threads = max(1, int(resources.cpus))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        if on_jax:
            tf.config.set_visible_devices([], "GPU")  # TensorFlow would take the memory that JAX needs
            break
        limit = _memory_limit_mb(resources.gpus)
        if limit is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:  # several trainers share the card: none may take the others' memory
            tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])


def _set_up_jax(resources: Resources) -> None:
    """JAX reads these when it starts."""
    if resources.gpus >= 1:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    elif resources.gpus:  # of a card that is shared, a tenth is left to the driver
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 * resources.gpus:.3f}")
    if resources.cpus <= 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()


def _memory_limit_mb(gpus: float) -> int | None:
    """A trainer's part of a shared card's memory, less a tenth for the driver; None where it has the card alone."""
    import subprocess

    if gpus >= 1:
        return None
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        total = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None
    return int(float(total) * 0.9 * gpus)
