"""Where a study stands, in a word; the database and the server's answers have these words."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["StudyState"]


class StudyState(StrEnum):
    """Where a study stands. The database knows `queued`, `running`, `stopped`, `finished` and `failed`."""

    QUEUED = "queued"
    STARTING = "starting"
    """It has a job, whose coordinator is not there yet."""
    RUNNING = "running"
    STOPPING = "stopping"
    """It runs, and somebody has asked it to stop."""
    INTERRUPTED = "interrupted"
    """It is said to run, and has nobody who runs it."""
    STOPPED = "stopped"
    """It can go on."""
    FINISHED = "finished"
    FAILED = "failed"
    DELETED = "deleted"
    """It was there when somebody began to watch it."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come of it, unless somebody asks for more."""
        return self in (StudyState.STOPPED, StudyState.FINISHED, StudyState.FAILED, StudyState.DELETED)
