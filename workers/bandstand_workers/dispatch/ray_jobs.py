"""The Ray cluster's job server, as far as the dispatcher needs it.

Knows Ray's job API and what its answers mean. Must not know the queue.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus

from bandstand.errors import ClusterUnreachableError, JobRefusedError, one_line
from bandstand_workers.dispatch.local_logs import tail_log
from bandstand_workers.internals.ray_job_parts import PatientClient, answer_in, quiet_client

__all__ = ["RayJob", "RayJobs"]


@dataclass(frozen=True, kw_only=True)
class RayJob:
    """A job that the cluster knows."""

    has_ended: bool
    succeeded: bool
    is_pending: bool
    message: str | None
    """Why it ended as it did, in a line; None where there is nothing to say."""


class RayJobs:
    """The jobs of one cluster.

    Raises, from any method:
        ClusterUnreachableError: the job server does not answer, or not as one that works.
    """

    def __init__(self, address: str, python: str, session: Path | None = None):
        """Nothing is connected yet.

        Args:
            address: of the job server, as http://head:8265.
            python: the command that runs Python on the cluster's nodes.
            session: folder of the session of a Ray on this machine, whose logs are read there; None for a cluster.
        """
        quiet_client()
        self._address = address
        self._python = python
        self._session = session
        self._client: PatientClient | None = None

    def check(self) -> None:
        """Do nothing but find out whether the job server answers."""
        self._call("get_version")

    def submit(
        self,
        run: str,
        *,
        folder: Path | None,
        metadata: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the job of a run; if it is there already, nothing changes.

        Args:
            run: its id, and the job's.
            folder: with the project one folder down; it becomes the job's working directory. None if the nodes have
                the code.
            metadata: that everybody may read.
            environment: variables of its processes, which whoever has Ray's token may read, too.

        Raises:
            JobRefusedError: the job server does not take it.
        """
        working_dir = {"working_dir": str(folder)} if folder else {}
        variables = {"env_vars": dict(environment)} if environment else {}
        try:
            self._call(
                "submit_job",
                entrypoint=f"{self._python} -P -m bandstand_workers job {run}",
                submission_id=run,
                runtime_env=working_dir | variables,
                metadata=dict(metadata),
                entrypoint_num_cpus=0,
            )
        except JobRefusedError:
            if self.look_up(run) is None:
                raise

    def look_up(self, run: str) -> RayJob | None:
        """The job of a run; None if the cluster does not know of it."""
        try:
            details = self._call("get_job_info", run)
        except JobRefusedError:
            return None
        status = details.status
        return RayJob(
            has_ended=status.is_terminal(),
            succeeded=status == JobStatus.SUCCEEDED,
            is_pending=status == JobStatus.PENDING,
            message=_message_of(details),
        )

    def stop(self, run: str) -> None:
        """Have Ray end a job: SIGTERM first, SIGKILL a while later."""
        try:
            self._call("stop_job", run)
        except JobRefusedError:
            return  # it has ended by itself

    async def tail(self, run: str) -> AsyncIterator[str]:
        """What a job has printed and will print, in pieces, from the beginning.

        Raises:
            Exception: of whatever kind, when the connection breaks.
        """
        pieces = (
            self._connected().tail_job_logs(run)
            if self._session is None
            else tail_log(self._session, run, lambda: self._has_ended(run))
        )
        async for piece in pieces:
            yield piece

    def _has_ended(self, run: str) -> bool:
        job = self.look_up(run)
        return job is None or job.has_ended

    def _connected(self) -> PatientClient:
        if self._client is None:
            self._client = PatientClient(self._address)
        return self._client

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._connected(), method)(*arguments, **options)
        except AuthenticationError as error:
            raise ClusterUnreachableError(
                f"the Ray cluster's job server at {self._address} refuses the token: set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH to the cluster's"
            ) from error
        except (ConnectionError, requests.RequestException) as error:
            raise ClusterUnreachableError(
                f"the Ray cluster's job server must answer; {self._address} does not: {type(error).__name__}"
            ) from error
        except (RuntimeError, ValueError) as error:  # ValueError: a folder that Ray cannot use
            answer = answer_in(error)
            if answer and answer[0] >= 500:
                raise ClusterUnreachableError(
                    f"the Ray cluster's job server at {self._address} answers {answer[0]}: {_last_line(answer[1])}"
                ) from error
            raise JobRefusedError(_last_line(answer[1] if answer else str(error))) from error


def _message_of(details: Any) -> str | None:
    """Ray's message without the end of the log, which is kept elsewhere; for an exit code, only that."""
    if details.status == JobStatus.SUCCEEDED:
        return None
    if details.driver_exit_code is not None:
        return f"its process ended with code {details.driver_exit_code}"
    if details.status == JobStatus.STOPPED:
        return "it was stopped on the cluster"
    return one_line(Exception(details.message or ""))


def _last_line(text: str) -> str:
    """Of a traceback, what it is about."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
