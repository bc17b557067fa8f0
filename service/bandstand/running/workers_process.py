"""The process of workers that runs studies on this machine's behalf: started, listened to, ended.

Knows its pipes, its log and its environment. Must not know what its messages mean.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bandstand.errors import ServiceError
from bandstand.private_folders import home_folder
from bandstand.running.bounded_log import BoundedLog, remove_old_logs
from bandstand.running.child_death import end_of_log, ending_of
from bandstand.running.messages import Instructions, Message, RunRefused, line_from, message_from
from bandstand.study.users_code.user_modules import CodePlace

__all__ = ["LOG_VARIABLE", "WorkersProcess", "workers_environment"]

_POLL_SECONDS = 0.25
LOG_VARIABLE = "BANDSTAND_WORKERS_LOG"
"""Names the log to the process of workers, which writes there by itself once nobody reads its pipe any more."""


class WorkersProcess:
    """`python -m bandstand_workers` with its pipes. It ends when this process does, whatever way that is."""

    def __init__(self, process: subprocess.Popen[str], log: BoundedLog):
        """Use `started`."""
        self.log = log.path
        self._bounded_log = log
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._interrupts = 0
        threading.Thread(target=self._read, daemon=True).start()

    @classmethod
    @contextmanager
    def started(cls, job: Instructions, url: str) -> Iterator[WorkersProcess]:
        """Start it with a job; it has ended when this context has. `url` is a secret and travels by environment."""
        folder = home_folder("logs")
        remove_old_logs(folder)
        log = BoundedLog(folder / f"workers-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log")
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bandstand_workers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log.writer,
                text=True,
                errors="replace",
                env=workers_environment(job.code) | {"BANDSTAND_DATABASE_URL": url, LOG_VARIABLE: str(log.path)},
            )
        finally:
            log.close_writer()
        assert process.stdin is not None
        worker = cls(process, log)
        try:
            with suppress(BrokenPipeError):  # it is dead already: `messages` says so
                process.stdin.write(line_from(job))
                process.stdin.flush()
            yield worker
        finally:
            worker.end()

    def messages(self, tick: Callable[[], object]) -> Iterator[Message]:
        """What it says, until it ends; `tick` is called between. Ctrl-C pauses it first, then raises.

        Raises:
            ServiceError: it died without a word.
            KeyboardInterrupt: it was interrupted, and has ended.
        """
        refused = False
        while True:
            try:
                tick()
                line = self._lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            except KeyboardInterrupt:
                self.interrupt()
                continue
            if line is None:
                break
            message = message_from(line)
            refused = refused or isinstance(message, RunRefused)
            yield message
        code = self._process.wait()
        self._bounded_log.wait()
        if self._interrupts:
            raise KeyboardInterrupt
        if code and not refused:
            raise ServiceError(
                f"the workers' process {ending_of(code)} without a message: run the same command again to continue; "
                f"{end_of_log(self.log)}"
            )

    @property
    def is_interrupted(self) -> bool:
        """Whether it was asked to pause and end."""
        return self._interrupts > 0

    def interrupt(self) -> None:
        """Ask it to pause what runs and end; the second time, end it at once."""
        self._interrupts += 1
        if self._interrupts == 1:
            self._process.send_signal(signal.SIGINT)
        else:
            self._process.kill()

    def end(self) -> None:
        """Make sure that it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()  # it takes this as a wish to stop
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if line.startswith("{"):  # else a library has printed before the channel was there
                    self._lines.put(line)
        finally:
            self._lines.put(None)


def workers_environment(code: CodePlace) -> dict[str, str]:
    """This process's, without the user's folders in PYTHONPATH: workers find the modules there by other means.

    Of what stays, relative folders are made absolute: workers do not stand where this process does.
    """
    environment = dict(os.environ)
    path = [Path(folder).absolute() for folder in environment.pop("PYTHONPATH", "").split(os.pathsep) if folder]
    users = {Path(folder).resolve() for folder in (*code.folders, code.current_folder) if folder is not None}
    kept = [str(folder) for folder in path if folder.resolve() not in users]
    return environment | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})
