"""A trainer's baseline: what it had before it trained, however many studies it has trained for since."""

import numpy as np
import psutil

from tests.end_to_end.project import SETTINGS, Project
from workers.trainer import Trainer


def test_the_baseline_does_not_grow_from_study_to_study_but_with_new_data(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.syspath_prepend(str(project.folder))
    (project.folder / "other_data.py").write_text("from project import load\n")
    spec = {**SETTINGS, "name": "first"}
    trainer = Trainer({"cpus": 1}, [str(project.folder)])
    assert trainer.prepare(spec, False) is None
    baseline = trainer.baseline_memory_bytes()
    assert 0 < baseline <= psutil.Process().memory_info().rss
    grown = np.ones(40_000_000)  # 320 MB, as a study's programs might take
    assert trainer.prepare({**spec, "name": "second", "seed": 9}, False) is None
    assert trainer.baseline_memory_bytes() == baseline
    assert trainer.memory_bytes() > baseline + 200e6
    assert trainer.prepare({**spec, "name": "third", "data": "other_data:load"}, False) is None
    assert trainer.baseline_memory_bytes() > baseline + 200e6
    assert grown.sum() == 40_000_000
