"""What Ray Tune is asked to run: one study, and whom to tell.

Knows the fields. Must not know how it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from bandstand.running.messages import Conditions
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import CodePlace

__all__ = ["TuneRun"]


@dataclass(frozen=True, kw_only=True)
class TuneRun:
    """One study that is to be run; Ray must be connected."""

    spec: StudySpec
    workers: int  # trainings at the same time
    code: CodePlace  # where the user's is
    checkpoints_uri: str
    database_url: str  # a secret
    conditions: Conditions  # on which the study is taken up
    stop: Event  # set to have the study paused
    running: Callable[[], None]  # called once the study is known to be sound
    note: Callable[[str], None]  # is given sentences for the user
    trace: str | None = None  # the span of this run
