"""A user's functions get the context that they ask for, and Keras's callbacks files of their trial."""

from __future__ import annotations

import csv
import functools
import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandstand.search.search import Search
from bandstand.strategies.randomness import trial_seed
from bandstand.study.context import Context, asks_for_context
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Measured
from bandstand_workers.messages import Outcome, TrialUnwantedError
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.local_link import LocalLink

CODE = """
import keras
import numpy as np

SEEN = []


def load(context):
    SEEN.append(("load", context))
    draw = np.random.default_rng(3)
    x = draw.random((50, 4), dtype="float32")
    y = np.arange(50) % 3
    return {"train": (x[:30], y[:30]), "validation": (x[30:40], y[30:40]), "test": (x[40:], y[40:])}


def build(params, *, context):
    SEEN.append(("build", context))
    shape, classes = context.data.x_shape, context.data.classes
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(classes, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Notes(keras.callbacks.Callback):
    def __init__(self, folder):
        super().__init__()
        self.file = folder / "notes.txt"

    def on_epoch_end(self, epoch, logs=None):
        with open(self.file, "a") as file:
            print(epoch, file=file)


def nothing():
    return []


def with_params(params):
    SEEN.append(("params", params))
    return []


def with_context(context):
    SEEN.append(("callbacks", context))
    return [Notes(context.folder)]


def with_both(params, context):
    SEEN.append(("both", (params, context)))
    return ()


class OfContext(keras.callbacks.Callback):
    def __init__(self, context):
        super().__init__()
        SEEN.append(("class", context))


def of_keras():
    callbacks = keras.callbacks
    return [
        callbacks.CSVLogger("{folder}/logs/log.csv"),
        callbacks.ModelCheckpoint("{folder}/{epoch:02d}-{val_loss:.2f}.keras"),
        callbacks.ModelCheckpoint("best-of-{trial:03d}.weights.h5", save_weights_only=True, save_best_only=True),
    ]


def shared():
    return [keras.callbacks.CSVLogger("log.csv"), keras.callbacks.ModelCheckpoint("best.keras")]


def appended():
    return keras.callbacks.CSVLogger("log.csv", append=True)


def own_backup():
    return keras.callbacks.BackupAndRestore("{folder}/backup", delete_checkpoint=False)


def shared_backup():
    return [keras.callbacks.BackupAndRestore("backup")]


def a_class():
    return [keras.callbacks.TerminateOnNaN]


def forgotten():
    [keras.callbacks.TerminateOnNaN()]


def end_here(params):
    raise SystemExit(3)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "context_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "context_user", raising=False)
    return importlib.import_module("context_user")


def spec_for(*callbacks: str, **settings: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "context",
            "model": "context_user:build",
            "data": "context_user:load",
            "callbacks": [f"context_user:{name}" for name in callbacks],
            "space": {"unused": {"type": "float", "low": 0.0, "high": 1.0}},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": 5,
            "batch_size": 8,
            "budget": {"trials": 2},
            "checkpoint_every": 2,
            "seed": 5,
        }
        | settings
    )


class Study:
    """Trials one after the other; a process that dies is followed by another one, which goes on from the file."""

    def __init__(self, spec: StudySpec, folder: Path):
        self.search = Search(spec)
        self.folder = folder
        self.training = LoadedStudy(spec)
        self.uris: dict[int, str] = {}

    def run(self, dies_after: int | None = None) -> Outcome | None:
        """The next assignment."""
        assignment = self.search.next()
        assert assignment is not None
        link = LocalLink(self.search, assignment, dies_after)
        place = str(self.folder / f"trial-{assignment.trial:05d}")
        try:
            outcome = self.training.run(assignment, link, folder=place, resume_uri=self.uris.get(assignment.from_epoch))
            if outcome.failure is None:
                self.search.finish(assignment.trial, assignment.attempt)
            return outcome
        except TrialUnwantedError:
            self.training.wait_for_checkpoints()
            link.take_checkpoints()
            self.search.lost(assignment.trial, assignment.attempt, "killed", blamed=False)
            self.uris |= link.checkpoints
            return None

    def losses(self) -> list[float]:
        return [event.metrics["val_loss"] for event in self.search.take_events() if isinstance(event, Measured)]

    def seen(self, module: Any, what: str) -> Any:
        return [value for name, value in module.SEEN if name == what]


def epochs_in(file: Path) -> list[int]:
    return [int(row["epoch"]) for row in csv.DictReader(file.open())]


def test_a_context_says_what_is_known_of_study_data_and_trial(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("with_context"), tmp_path)
    study.run()
    assert study.seen(module, "load") == [Context(seed=5)]
    (context,) = study.seen(module, "build")
    assert context == study.seen(module, "callbacks")[0]
    assert (context.trial, context.seed, context.epoch, context.resumed) == (0, trial_seed(5, 0), 0, False)
    assert context.steps_per_epoch == 4, "30 examples in batches of 8"
    assert (context.data.x_shape, context.data.y_shape, context.data.classes) == ((4,), (), 3)
    assert context.data.examples == {"train": 30, "validation": 10, "test": 10}
    assert (context.folder / "notes.txt").read_text().split() == ["0", "1", "2", "3", "4"]


def test_a_resumed_trial_has_its_folder_and_says_how_far_it_is(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("with_context", trainer="fit"), tmp_path)
    assert study.run(dies_after=3) is None
    study.run()
    first, second = study.seen(module, "callbacks")
    assert (second.epoch, second.resumed, second.trial, second.seed) == (2, True, 0, first.seed)
    assert second.folder == first.folder
    study.run()
    assert study.seen(module, "callbacks")[2].folder != first.folder


@pytest.mark.parametrize(
    ("name", "what"), [("with_params", "params"), ("with_context", "callbacks"), ("with_both", "both"),
                       ("OfContext", "class"), ("nothing", "build")]
)  # fmt: skip
def test_a_callbacks_function_gets_what_it_asks_for(name: str, what: str, module: Any, tmp_path: Path) -> None:
    study = Study(spec_for(name), tmp_path)
    outcome = study.run()
    assert outcome is not None and outcome.failure is None, outcome
    got = study.seen(module, what)[0]
    params, context = (got if what == "both" else (got, got))[:2] if what != "build" else ({"unused": 0}, got)
    if what in ("params", "both"):
        assert list(params) == ["unused"]
    if what != "params":
        assert context.trial == 0


def test_a_folder_that_nothing_was_written_to_is_removed(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for(), tmp_path)
    study.run()
    assert not study.seen(module, "build")[0].folder.exists()


def test_a_saved_model_is_built_with_its_trials_context(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for(), tmp_path)
    outcome = study.run()
    assert outcome is not None and outcome.model_uri is not None
    file = tmp_path / "trial-00007" / "model.keras"
    file.parent.mkdir()
    file.write_bytes(Path(outcome.model_uri).read_bytes())
    module.SEEN.clear()
    study.training.evaluate(str(file), {"unused": 0.0}, "test")
    (context,) = study.seen(module, "build")
    assert (context.trial, context.seed, context.folder) == (7, trial_seed(5, 7), file.parent / "files")


def test_files_of_kerass_callbacks_are_the_trials_own(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("of_keras"), tmp_path / "studies")
    for _ in range(2):
        outcome = study.run()
        assert outcome is not None and outcome.failure is None, outcome
        assert outcome.notes == ()
    for number in (0, 1):
        files = tmp_path / "studies" / f"trial-{number:05d}" / "files"
        assert epochs_in(files / "logs" / "log.csv") == [0, 1, 2, 3, 4]
        assert len(list(files.glob("0*.keras"))) == 5
        assert (tmp_path / f"best-of-{number:03d}.weights.h5").exists()


@pytest.mark.parametrize("trainer", ["fit", "auto"])
@pytest.mark.parametrize("callbacks", ["of_keras", "shared"])
def test_a_resumed_trials_log_has_each_epoch_once(callbacks: str, trainer: str, module: Any, tmp_path: Path) -> None:
    study = Study(spec_for(callbacks, trainer=trainer), tmp_path)
    assert study.run(dies_after=3) is None
    file = tmp_path / ("trial-00000/files/logs/log.csv" if callbacks == "of_keras" else "log.csv")
    before = list(csv.reader(file.open()))
    assert epochs_in(file)[:2] == [0, 1], "there is something to lose"
    outcome = study.run()
    assert outcome is not None and outcome.failure is None, outcome
    assert epochs_in(file) == [0, 1, 2, 3, 4]
    assert list(csv.reader(file.open()))[:3] == before[:3]
    assert outcome.unkept == ()


def test_a_log_without_a_checkpoint_behind_it_begins_anew(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("of_keras", checkpoint_every=5), tmp_path)
    assert study.run(dies_after=3) is None
    study.run()
    assert epochs_in(tmp_path / "trial-00000" / "files" / "logs" / "log.csv") == [0, 1, 2, 3, 4]


def test_what_trials_overwrite_of_each_other_is_told(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("shared"), tmp_path)
    first, second = study.run(), study.run()
    assert first is not None and second is not None
    assert first.notes == ()
    assert second.notes == (
        "CSVLogger writes 'log.csv' in more than one trial, so trials overwrite it: write to \"{folder}/log.csv\"",
        "ModelCheckpoint writes 'best.keras' in more than one trial, so trials overwrite it: write to "
        '"{folder}/best.keras"',
    )


def test_a_log_that_trials_append_to_keeps_their_rows_and_is_not_told(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("appended"), tmp_path)
    assert [outcome.notes for outcome in (study.run(), study.run()) if outcome] == [(), ()]
    rows = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert rows == ["epoch", *"01234", *"01234"]


def test_a_backup_never_takes_a_trial_elsewhere_than_its_checkpoint(module: Any, tmp_path: Path) -> None:
    straight = Study(spec_for("nothing", trainer="fit", seed=9), tmp_path / "a")
    straight.run()
    study = Study(spec_for("own_backup", trainer="fit", seed=9), tmp_path / "b")
    assert study.run(dies_after=3) is None
    backup = tmp_path / "b" / "trial-00000" / "files" / "backup"
    assert (backup / "latest.weights.h5").exists(), "it would restore epoch 3, the checkpoint is of epoch 2"
    outcome = study.run()
    assert outcome is not None and outcome.failure is None, outcome
    got, expected = study.losses(), straight.losses()
    assert len(expected) == 5
    assert got == pytest.approx(expected, rel=1e-5)
    assert (backup / "latest.weights.h5").exists()


def test_a_backup_that_trials_would_share_is_left_out_and_told(module: Any, tmp_path: Path) -> None:
    study = Study(spec_for("shared_backup"), tmp_path)
    outcome = study.run()
    assert outcome is not None and outcome.failure is None, outcome
    assert not (tmp_path / "backup").exists()
    assert outcome.notes[0].startswith("BackupAndRestore is not used, because all trials would share its folder")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a_class", "'context_user:a_class' gave the class TerminateOnNaN: make one, TerminateOnNaN(...)"),
        ("forgotten", "'context_user:forgotten' gave None: return keras callbacks in a list, [] for none"),
        ("end_here", "it ends the process (3); leave sys.exit out (context_user.py:"),
    ],
)
def test_what_gives_no_callbacks_is_named_in_one_line(name: str, says: str, module: Any, tmp_path: Path) -> None:
    outcome = Study(spec_for(name), tmp_path).run()
    assert outcome is not None
    assert outcome.failure is not None and says in outcome.failure.message


class _Asker:
    def __call__(self, params: Any, context: Any) -> Any: ...

    def method(self, params: Any, context: Any = None) -> Any: ...


def _with_options(params: Any, **options: Any) -> Any: ...


def _with_context(params: Any, *, context: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "asks"),
    [
        (_with_context, True),
        (_Asker(), True),
        (_Asker().method, True),
        (functools.partial(_with_context, 1), True),
        (functools.partial(functools.partial(_Asker().method, 1)), True),
        (functools.partial(_with_context, context="its own"), False),
        (lambda context: context, True),
        (_with_options, False),
        (lambda params: params, False),
        (np.add, False),
        (dict, False),
    ],
)
def test_who_asks_for_a_context_is_known_by_the_parameters_name(function: Any, asks: bool) -> None:
    assert asks_for_context(function) is asks
