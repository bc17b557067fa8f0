"""A checkpoint that cannot be used: the trial begins again, a child ends for another, a study's end says so."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action, CheckpointRefused, Measured, Noticed, TrialState
from bandstand_workers.coordinator.recording.outcomes import Outcomes
from bandstand_workers.coordinator.recording.pauses import Pauses
from bandstand_workers.messages import Outcome, TrialUnwantedError
from bandstand_workers.training.checkpoints import CheckpointError
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.local_link import LocalLink
from tests.workers.memory_journal import MemoryJournal

CODE = """
import keras
from sklearn.datasets import load_digits

UNITS = 16


def load():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return {"train": (x[:300], y[:300]), "validation": (x[300:450], y[300:450])}


def build(params):
    hidden = keras.layers.Dense(UNITS, activation="relu")
    model = keras.Sequential([keras.Input((64,)), hidden, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(params["rate"], momentum=0.9), loss=loss, metrics=["accuracy"])
    return model


def callbacks():
    return keras.callbacks.ReduceLROnPlateau(patience=2)


def other_callbacks():
    return keras.callbacks.EarlyStopping(patience=9)
"""


class Study:
    """A study in this process: each attempt is trained as by a new process, which remembers no checkpoint."""

    def __init__(self, folder: Path, **settings: Any):
        self.folder = folder
        self.spec = StudySpec.model_validate(
            {
                "name": "refused",
                "model": "refused_user:build",
                "data": "refused_user:load",
                "callbacks": ["refused_user:callbacks"],
                "space": {"rate": {"type": "float", "low": 0.01, "high": 0.3, "log": True}},
                "sampler": "random",
                "pruner": "none",
                "max_epochs": 5,
                "batch_size": 50,
                "budget": {"trials": 1},
                "checkpoint_every": 1,
            }
            | settings
        )
        self.search = Search(self.spec)
        self.uris: dict[tuple[int, int], str] = {}
        columns = SimpleNamespace(model_uri=None)
        writer: Any = SimpleNamespace(study_columns=lambda: columns, set_study=lambda **changes: None)
        journal: Any = MemoryJournal()
        self.outcomes = Outcomes(self.search, writer, journal, Pauses(self.search))
        self.events: list[Any] = []

    def train(
        self,
        dies_after: int | None = None,
        change: Callable[[StudySpec], StudySpec] = lambda spec: spec,
        spoil_parents: bool = False,
    ) -> Any:
        """Have the next assignment trained; returns it and its outcome, None where its process died."""
        assignment = self.search.next()
        assert assignment is not None
        training, link = LoadedStudy(change(self.spec)), LocalLink(self.search, assignment, dies_after)
        uri = None
        if assignment.checkpoint_of is not None:
            uri = self.uris[assignment.checkpoint_of, assignment.from_epoch]
            if spoil_parents and assignment.checkpoint_of != assignment.trial:
                cut(Path(uri))
        folder = str(self.folder / f"trial-{assignment.trial:05d}")
        outcome: Outcome | None = None
        try:
            outcome = training.run(assignment, link, folder=folder, resume_uri=uri)
        except TrialUnwantedError:
            pass
        training.wait_for_checkpoints()
        link.take_checkpoints()
        self.uris |= {(assignment.trial, epoch): uri for epoch, uri in link.checkpoints.items()}
        if outcome is None:
            self.search.lost(assignment.trial, assignment.attempt, "killed", blamed=False)
        else:
            asyncio.run(self.outcomes.take("one", assignment.trial, assignment.attempt, outcome))
        return assignment, outcome

    def told(self, kind: type) -> list[Any]:
        """All events of a kind so far."""
        self.events += self.search.take_events()
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "refused_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "refused_user", raising=False)


class Trap:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


def set_a_trap(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.with_name("trap"))))


def swap(path: Path) -> None:
    other = path.with_name(path.name.replace("0002", "0001"))
    assert other.exists()
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (cut, "is damaged"),
    "flipped": (flip, "is damaged"),
    "emptied": (lambda path: path.write_bytes(b""), "is empty"),
    "missing": (Path.unlink, "is missing"),
    "an old pickle": (set_a_trap, "an earlier version of Bandstand wrote"),
    "of another epoch": (swap, "is foreign"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_trial_whose_checkpoint_is_damaged_begins_again_and_ends_as_one_that_never_died(
    damage: str, tmp_path: Path
) -> None:
    straight = Study(tmp_path / "a")
    straight.train()
    study = Study(tmp_path / "b")
    study.train(dies_after=3)
    break_it, words = DAMAGES[damage]
    uri = study.uris[0, 2]
    break_it(Path(uri))
    assignment, outcome = study.train()
    assert assignment.from_epoch == 2
    assert outcome.refusal is not None
    assert uri in outcome.refusal.reason
    assert words in outcome.refusal.reason
    assert outcome.failure is None
    assert not Path(uri).with_name("trap").exists()
    assignment, outcome = study.train()
    assert (assignment.trial, assignment.attempt, assignment.from_epoch) == (0, 3, 0)
    assert study.search.history.trials[0].state is TrialState.COMPLETE
    got, expected = study.told(Measured), straight.told(Measured)
    assert [event.epoch for event in got] == [1, 2, 3, 4, 5]
    assert [event.value for event in got] == pytest.approx([event.value for event in expected], rel=1e-5)
    (note,) = [event.message for event in study.told(Noticed) if uri in event.message]
    assert note == f"{study.told(CheckpointRefused)[0].reason}; trial 0 begins again from its first epoch"
    assert outcome.model_uri is not None


def test_a_trial_whose_builder_has_changed_begins_again_with_a_note_that_says_so(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.train(dies_after=3)
    code = (tmp_path / "refused_user.py").read_text()
    (tmp_path / "refused_user.py").write_text(code.replace("UNITS = 16", "UNITS = 17  # more"))
    sys.modules.pop("refused_user")
    _, outcome = study.train()
    assert outcome.refusal.reason == (
        f"a checkpoint must fit the model that the builder makes; {study.uris[0, 2]} has variables of other shapes: "
        "the builder has changed since the study began"
    )
    assignment, outcome = study.train()
    assert (assignment.from_epoch, outcome.refusal, outcome.failure) == (0, None, None)
    assert study.search.history.trials[0].state is TrialState.COMPLETE
    assert any("the builder has changed" in event.message for event in study.told(Noticed))


def test_a_trial_whose_callbacks_have_changed_begins_again_too(tmp_path: Path) -> None:
    def change(spec: StudySpec) -> StudySpec:
        return spec.model_copy(update={"callbacks": ("refused_user:other_callbacks",)})

    study = Study(tmp_path)
    study.train(dies_after=3)
    _, outcome = study.train(change=change)
    assert "must be of the study's callbacks, EarlyStopping; " in outcome.refusal.reason
    assert "has those of ReduceLROnPlateau: the callbacks have changed since the study began" in outcome.refusal.reason
    _, outcome = study.train(change=change)
    assert outcome.refusal is None


def test_what_is_wrong_with_many_checkpoints_is_noted_once(tmp_path: Path) -> None:
    study = Study(tmp_path, budget={"trials": 2})
    for _ in range(2):
        study.train(dies_after=3)
        cut(Path(study.uris[len(study.uris) > 2, 2]))
        study.train()
        study.train()
    assert len(study.told(CheckpointRefused)) == 2
    assert len([event for event in study.told(Noticed) if "is damaged" in event.message]) == 1


def population(folder: Path) -> Study:
    """Three members that have trained their first interval, the third far worse than the others."""
    options = {"population": 3, "interval": 1, "fraction": 0.4, "explore": ["rate"]}
    study = Study(folder, sampler="pbt", pruner="", sampler_options=options, budget={"trials": 3}, callbacks=[])
    for _ in range(3):
        study.train()
    return study


def test_where_a_parent_s_checkpoint_is_damaged_another_parent_is_chosen(tmp_path: Path) -> None:
    study = population(tmp_path)
    trials = study.search.history.trials
    for _ in range(12):
        child, outcome = study.train(spoil_parents=True)
        if outcome.refusal is not None:
            break
    failed, first = trials[child.trial], child.checkpoint_of
    assert (failed.state, failed.reason, failed.parent) == (TrialState.FAILED, "parent_checkpoint", first)
    assert study.uris[first, child.from_epoch] in failed.message
    other, outcome = study.train()
    assert trials[other.trial].bracket == failed.bracket
    assert other.checkpoint_of not in (None, first, other.trial)
    assert (outcome.refusal, outcome.action) == (None, Action.PAUSE)
    assert study.search.history.ended is None


def test_neither_a_model_nor_a_combination_is_made_of_a_damaged_checkpoint(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.train(dies_after=3)
    uri, params = study.uris[0, 2], {"rate": 0.1}
    cut(Path(uri))
    training = LoadedStudy(study.spec)
    with pytest.raises(CheckpointError, match="is damaged"):
        training.make_model(uri, params, 2, str(tmp_path / "model"))
    for how in ("average", "ensemble"):
        with pytest.raises(CheckpointError, match="is damaged"):
            training.combine([study.uris[0, 1], uri], params, how, str(tmp_path / how))
    assert not list(tmp_path.glob("*.keras"))


def test_a_checkpoint_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(CheckpointError("a/b is missing", "missing")))
    assert (str(error), error.kind) == ("a/b is missing", "missing")
