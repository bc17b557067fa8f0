"""A trainer's baseline: what it had before it trained, however many studies it has trained for since."""

from itertools import count

import psutil

from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.fleet.trainer import Trainer
from tests.end_to_end.harness.project import SETTINGS, Project


def test_the_baseline_does_not_grow_from_study_to_study_but_with_new_data(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.syspath_prepend(str(project.folder))
    (project.folder / "other_data.py").write_text("from project import load\n")
    spec = {**SETTINGS, "name": "first"}
    monkeypatch.setattr(
        "bandstand_workers.fleet.trainer._set_up_devices", lambda _: None
    )  # once a process, before TensorFlow runs
    monkeypatch.setenv("BANDSTAND_RUNS_USERS_CODE", "1")  # a trainer sets it, for its whole process
    trainer = Trainer({"cpus": 1}, CodePlace())
    assert 0 < trainer.memory_bytes() <= 2 * psutil.Process().memory_info().rss
    # What other tests free and take in this process meanwhile must not count.
    sizes = count(100, 100)
    monkeypatch.setattr(trainer, "memory_bytes", lambda: next(sizes))
    assert trainer.prepare(spec, False) is None
    assert trainer.baseline_memory_bytes() == 100
    assert trainer.memory_bytes() == 200
    assert trainer.prepare({**spec, "name": "second", "seed": 9}, False) is None
    assert trainer.baseline_memory_bytes() == 100
    assert trainer.prepare({**spec, "name": "third", "data": "other_data:load"}, False) is None
    assert trainer.baseline_memory_bytes() == 300
