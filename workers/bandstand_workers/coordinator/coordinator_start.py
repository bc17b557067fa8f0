"""Starts a coordinator actor beside this process, and hands it the database URL in a private file.

Knows how the secret travels. Must not know what a coordinator does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from bandstand.running.messages import RunRefused, StudyOutcome
from bandstand.study.study_spec import StudySpec

__all__ = ["settled", "start_coordinator"]


def start_coordinator(
    actor: Any, spec: StudySpec, database_url: str, checkpoints_uri: str, *more: Any
) -> tuple[Any, Path]:
    """Begin to start a coordinator on this node.

    Args:
        actor: the actor class, made with what `Coordinator` takes.
        spec: the study.
        database_url: a secret.
        checkpoints_uri: folder under which checkpoints and models go.
        more: what this kind of coordinator takes besides.

    Returns:
        Its handle, and the file with the URL. It removes the file once read; one that died before does not.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    file, path = tempfile.mkstemp(prefix="bandstand-")  # readable by this user alone
    with os.fdopen(file, "w") as handle:
        handle.write(database_url)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = actor.options(scheduling_strategy=here)
    return options.remote(path, spec.model_dump(mode="json"), checkpoints_uri, *more), Path(path)


def settled(answer: StudyOutcome | RunRefused) -> StudyOutcome:
    """What a coordinator's run has come to.

    Raises:
        BandstandError: it refuses the study.
    """
    if isinstance(answer, RunRefused):
        raise answer.error()
    return answer
