"""Where studies, submissions and runs stand, in a word. The database and the server's answers have these words."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RunState", "StudyState", "SubmissionKind", "SubmissionOutcome", "SubmissionState"]


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


class SubmissionKind(StrEnum):
    """What a submission consists of."""

    STUDY = "study"
    COMPARISON = "comparison"
    """The studies of one."""


class SubmissionState(StrEnum):
    """Where a submission stands."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    """It runs, and somebody has asked it to stop."""
    ENDED = "ended"


class SubmissionOutcome(StrEnum):
    """How a submission has ended."""

    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """It can be resumed."""


class RunState(StrEnum):
    """Where a run stands."""

    STARTING = "starting"
    """A server has claimed it; whether the cluster knows of it is not known."""
    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """The job said that its studies cannot be run as they stand; trying again would not help."""
    FAILED = "failed"
    LOST = "lost"
    """The cluster does not know of it any more."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come of it."""
        return self not in (RunState.STARTING, RunState.SUBMITTED, RunState.RUNNING)
