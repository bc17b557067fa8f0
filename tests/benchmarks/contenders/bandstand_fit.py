"""Bandstand with `fit` as its trainer: what scheduling, storing and checkpoints cost, whatever trains faster."""

from __future__ import annotations

from tests.benchmarks.contenders import Trained, bandstand_study
from tests.benchmarks.measuring.workloads import Workload


def run(workload: Workload) -> Trained:
    """The study."""
    from bandstand.study.study_spec import StudySpec

    # A version that knows one trainer only trains by `fit`.
    return bandstand_study.run(workload, **({"trainer": "fit"} if "trainer" in StudySpec.model_fields else {}))
