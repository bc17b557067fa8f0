"""Starts a coordinator actor beside this process, and hands it the database URL, which lies in no file.

Knows how the secret travels. Must not know what a coordinator does.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from bandstand.running.messages import RunRefused, StudyOutcome
from bandstand.study.study_spec import StudySpec

__all__ = ["HandedUrl", "settled", "start_coordinator", "taken_url"]


class HandedUrl:
    """A database URL for another process of this user on this machine, which reads it at a path.

    It is in the memory of this process, and gone with it, however it ends. Where a system has no such memory (Linux
    has), it is in a file that this user alone can read.
    """

    def __init__(self, url: str):
        if sys.platform == "linux":
            self._number: int | None = os.memfd_create("bandstand")
            os.write(self._number, url.encode())
            self.path = f"/proc/{os.getpid()}/fd/{self._number}"
            return
        self._number = None
        file, self.path = tempfile.mkstemp(prefix="bandstand-")
        with os.fdopen(file, "w") as handle:
            handle.write(url)

    def close(self) -> None:
        """Take it back; it may have been taken back before."""
        if sys.platform != "linux":
            Path(self.path).unlink(missing_ok=True)
        elif self._number is not None:
            os.close(self._number)
            self._number = None


def taken_url(path: str) -> str:
    """The URL that another process hands over; a file of it is removed."""
    url = Path(path).read_text()
    if not path.startswith("/proc/"):
        Path(path).unlink()
    return url


def start_coordinator(
    actor: Any, spec: StudySpec, database_url: str, checkpoints_uri: str, *more: Any
) -> tuple[Any, HandedUrl]:
    """Begin to start a coordinator on this node.

    Args:
        actor: the actor class, made with what `Coordinator` takes.
        spec: the study.
        database_url: a secret.
        checkpoints_uri: folder under which checkpoints and models go.
        more: what this kind of coordinator takes besides.

    Returns:
        Its handle, and the URL as it is handed over; whoever started it closes that.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    handed = HandedUrl(database_url)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = actor.options(scheduling_strategy=here)
    return options.remote(handed.path, spec.model_dump(mode="json"), checkpoints_uri, *more), handed


def settled(answer: StudyOutcome | RunRefused) -> StudyOutcome:
    """What a coordinator's run has come to.

    Raises:
        BandstandError: it refuses the study.
    """
    if isinstance(answer, RunRefused):
        raise answer.error()
    return answer
