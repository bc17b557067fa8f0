"""Canaries for Ray's private parts: each fails on the day on which Ray changes what one of ours stands on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import ray
import requests

from bandstand.errors import ClusterUnreachableError, JobRefusedError
from bandstand_workers.dispatch.ray_jobs import RayJobs
from bandstand_workers.internals import ray_job_parts
from tests.internals.processes import told_by

METHODS = [
    lambda client: client.submit_job(entrypoint="true", submission_id="one"),
    lambda client: client.get_job_info("one"),
    lambda client: client.stop_job("one"),
    lambda client: client.get_version(),
]


class JobServer(ThreadingHTTPServer):
    """As much of a job server as its client needs to take it for one; it hangs, or fails, where it is told to.

    A real one neither hangs nor fails when it is wanted to.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.hangs = False
        self.fails_with: tuple[int, str] | None = None
        self.gone_on = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what is tested."""


class _Answers(BaseHTTPRequestHandler):
    server: JobServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.hangs:
            self.server.gone_on.wait(30)
            return
        status, content = 200, {"job_id": "one", "submission_id": "one"}
        if self.path.startswith("/api/version"):
            content = {"version": "4", "ray_version": ray.__version__, "ray_commit": "", "session_name": ""}
        elif self.path.startswith("/api/packages") and self.command == "GET":
            status = 404  # it is not there yet
        text = json.dumps(content)
        if self.server.fails_with is not None and self.path.startswith("/api/jobs"):
            status, text = self.server.fails_with
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = _answer  # the names that http.server asks for


@contextmanager
def job_server() -> Iterator[JobServer]:
    with JobServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.gone_on.set()
        server.shutdown()


@pytest.mark.parametrize("ask", METHODS, ids=["submit", "look up", "stop", "version"])
def test_every_request_to_a_job_server_that_hangs_ends_in_time(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_job_parts, "TIME_LIMITS_SECONDS", (0.5, 0.5))
    with job_server() as server:
        client = ray_job_parts.PatientClient(server.address)
        server.hangs = True
        threading.Timer(8, server.gone_on.set).start()  # so that a client without limits fails instead of hanging
        began = time.monotonic()
        with pytest.raises(requests.RequestException) as raised:
            ask(client)
        seconds = time.monotonic() - began
    assert isinstance(raised.value, requests.Timeout) and seconds < 6, (
        f"Ray {ray.__version__} sends requests otherwise than through JobSubmissionClient._do_request, so that they "
        f"have no time limits ({type(raised.value).__name__} after {seconds:.0f} s): see where its dashboard_sdk calls "
        "requests, and have ray_job_parts.PatientClient set the limits there"
    )


def test_a_client_is_not_made_of_a_job_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_job_parts, "TIME_LIMITS_SECONDS", (0.5, 0.5))
    with job_server() as server:
        server.hangs = True
        threading.Timer(8, server.gone_on.set).start()
        began = time.monotonic()
        with pytest.raises((requests.RequestException, ConnectionError)):
            ray_job_parts.PatientClient(server.address)
        assert time.monotonic() - began < 6


def test_a_failing_job_server_is_away_and_one_that_says_no_refuses() -> None:
    with job_server() as server:
        cluster = RayJobs(server.address, "python")
        server.fails_with = (503, "warming up")
        with pytest.raises(ClusterUnreachableError, match=r"answers 503: warming up"):
            cluster.stop("one")
        server.fails_with = (400, "no such thing")
        with pytest.raises(JobRefusedError) as refused:
            cluster.submit("one", folder=None, metadata={})
    assert str(refused.value).rstrip(".") == "no such thing", (
        f"Ray {ray.__version__} words the errors of its job client otherwise, and the status stands nowhere else: "
        "have ray_job_parts.answer_in read the new words"
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_the_job_client_keeps_its_uploads_to_itself_only_where_it_is_told_to(
    quiet: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("")
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", True)
    caplog.set_level(logging.INFO)
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.startswith("ray.") and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "level", logging.NOTSET)
    logging.getLogger("ray").setLevel(logging.INFO)
    if quiet:
        ray_job_parts.quiet_client()
    with job_server() as server:
        client = ray_job_parts.PatientClient(server.address)
        client.submit_job(entrypoint="true", runtime_env={"working_dir": str(tmp_path)})
    said = [record.name for record in caplog.records if record.name.startswith("ray.")]
    assert bool(said) is not quiet, f"Ray {ray.__version__} says it under other names: {said}; list them in _TALKATIVE"


@pytest.mark.slow
def test_workers_of_a_local_ray_have_the_priority_of_the_process_that_starts_it() -> None:
    told = told_by(
        """
        import json
        import os
        from bandstand.study.study_spec import Resources
        from bandstand_workers.fleet.ray_connection import connect_ray, protect_local_ray

        protect_local_ray()
        connect_ray(Resources(cpus=1), cpus=1.0)
        import ray

        worker = ray.get(ray.remote(lambda: os.getpriority(os.PRIO_PROCESS, 0)).remote())
        print(json.dumps([worker, os.getpriority(os.PRIO_PROCESS, 0)]))
        """
    )
    assert told[0] == told[1], (
        f"Ray {ray.__version__} takes no notice of RAY_worker_niceness, so that whatever else the machine does starves "
        "trainings: see where it sets its workers' priority, and set that in fleet.py and local_ray.py"
    )


@pytest.mark.slow
def test_a_dead_raylet_is_found_by_its_name() -> None:
    told = told_by(
        """
        import json
        import os
        import sys
        import psutil
        from bandstand.study.study_spec import Resources
        from bandstand_workers.fleet.ray_connection import connect_ray, protect_local_ray
        from bandstand_workers.internals.ray_parts import dead_parts_of_ray, raylet_socket

        protect_local_ray()
        connect_ray(Resources(cpus=1), cpus=1.0)
        before = [*dead_parts_of_ray(), *([] if os.path.exists(raylet_socket() or "") else ["no socket"])]
        (raylet,) = [process for process in psutil.Process().children() if process.name() == "raylet"]
        raylet.kill()
        psutil.wait_procs([raylet])
        print(json.dumps([before, dead_parts_of_ray()]))
        sys.stdout.flush()
        os._exit(0)
        """
    )
    assert told == [[], ["raylet"]], (
        f"Ray {ray.__version__} tells of its dead processes otherwise: see dead_parts_of_ray"
    )


@pytest.mark.slow
def test_rays_own_words_of_a_kill_for_memory_are_known_and_its_general_ones_are_not() -> None:
    told = told_by(
        """
        import json
        import os
        import signal
        import time

        os.environ["RAY_memory_usage_threshold"] = "0.01"  # any machine has used so much
        os.environ["RAY_memory_monitor_refresh_ms"] = "100"
        os.environ["RAY_task_oom_retries"] = "0"
        import ray
        from bandstand_workers.internals.ray_parts import says_out_of_memory

        def death(method):
            ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
            @ray.remote(max_restarts=0, max_task_retries=0)
            class Dies:
                def waits(self):
                    self.taken = bytearray(10**8)
                    time.sleep(60)
                def is_killed(self):
                    os.kill(os.getpid(), signal.SIGKILL)
            try:
                ray.get(getattr(Dies.remote(), method).remote(), timeout=50)
            except ray.exceptions.RayError as error:
                return [says_out_of_memory(error), f"{type(error).__name__}: {error}"[:600]]
            finally:
                ray.shutdown()

        by_ray = death("waits")
        os.environ["RAY_memory_monitor_refresh_ms"] = "0"
        print(json.dumps([by_ray, death("is_killed")]))
        """
    )
    assert [known for known, _ in told] == [True, False], f"Ray {ray.__version__} words it otherwise: {told}"
