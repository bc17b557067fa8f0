"""Submissions: what users ask a server to run, from the queue to the last line of the log.

A *submission* is one study, or the studies of one comparison, with the code that they need; one job at a time runs its
studies in order. A *run* is one such job. A submission waits (`queued`), has a run (`running`, `stopping`) or has
`ended`; a run that dies is followed by another, with back-off, until several in a row have not trained a single epoch.
PostgreSQL holds all of it, so that any server may die and another goes on.

`queue` is what users do, `server_queue` what a server does with the queue, `job_instructions` what a job is told and
says of its run; `changes` and `kept_code` write the rows that these share, and
`store.rows.submission_rows` has what readers get. None of them knows HTTP or Ray.
"""

from __future__ import annotations

from bandstand.store.rows.submission_rows import Run, Submission
from bandstand.study.states import SubmissionKind, SubmissionOutcome, SubmissionState
from bandstand.study.users_code.code_archive import MAX_CODE_BYTES, CodeArchive
from bandstand.submissions.queue import SubmissionQueue
from bandstand.submissions.server_queue import ServerQueue

__all__ = [
    "MAX_CODE_BYTES",
    "CodeArchive",
    "Run",
    "ServerQueue",
    "Submission",
    "SubmissionKind",
    "SubmissionOutcome",
    "SubmissionQueue",
    "SubmissionState",
]
