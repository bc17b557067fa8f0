"""A team's Bandstand from the migration to the end of a study, inside of one container.

Run as `python -m tests.deploy.chain FOLDER`, with BANDSTAND_DATABASE_URL naming a database with an older schema, and
Ray's token in the environment. Each step prints a line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bandstand_workers.dispatch.local_ray import free_ports
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

PATIENCE_SECONDS = 400.0
TRIES = 4
"""Ray gives a node 30 s to start, which a busy machine may miss."""


class Chain:
    """All processes, started one after the other as the manifests order them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self.jobs, *self.others = free_ports(6)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str, **variables: str) -> Path:
        output = self.folder / f"{name}.log"
        with output.open("wb") as file:
            environment = os.environ | variables
            process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment)
        self.processes.append(process)
        return output

    def start_ray(self, name: str, *options: str, **variables: str) -> None:
        command = ["ray", "start", "--block", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
        for _ in range(TRIES):
            output = self.start(name, *command, *options, **variables)
            if _is_up(self.processes[-1], output):
                print(name, flush=True)
                return
        raise AssertionError(f"{name} does not start")

    def start_server(self, name: str) -> str:
        variables = {
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{self.jobs}",
            "BANDSTAND_HOME": str(self.folder / name),
        }
        output = self.start(name, "bandstand", "serve", "--port", "0", "--log-format", "json", **variables)
        told = wait_until(name, lambda: re.search(r"serves at (http://\S+)", output.read_text()), PATIENCE_SECONDS)
        print(name, flush=True)
        return told[1]


def _is_up(process: subprocess.Popen[bytes], output: Path) -> bool:
    """Whether a node of Ray has come up; waits until it has or has not."""
    told = "will now block"
    wait_until("Ray", lambda: process.poll() is not None or told in output.read_text(), PATIENCE_SECONDS)
    return process.poll() is None


def ask(*words: str) -> str:
    done = subprocess.run(["bandstand", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def state(name: str, url: str) -> str:
    return str(json.loads(ask("show", name, "--json", "--url", url))["state"])


def run(folder: Path) -> None:
    chain = Chain(folder)
    without = {"BANDSTAND_DATABASE_URL": ""}
    try:
        print("migrated:", ask("db", "upgrade").strip(), flush=True)
        chain.start_ray(
            "head", "--head", "--num-cpus=0", f"--port={chain.port}", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={chain.jobs}", f"--dashboard-agent-listen-port={chain.others[0]}",
            f"--temp-dir={folder}/r", f"--ray-client-server-port={chain.others[1]}", BANDSTAND_LOG_FORMAT="json",
        )  # fmt: skip
        agent = f"--dashboard-agent-listen-port={chain.others[2]}"
        chain.start_ray("worker", f"--address=127.0.0.1:{chain.port}", "--num-cpus=1", agent, **without)
        first, second = chain.start_server("server-1"), chain.start_server("server-2")
        token = re.search(r"\S{30,}", ask("token", "create", "ada", "--role", "submitter"))
        assert token is not None
        os.environ["BANDSTAND_TOKEN"] = token[0]
        (folder / "project").mkdir()
        project = Project(folder / "project")
        study = project.write_study(name="chained", budget={"epochs": 24}, callbacks=["project:slow_journal"])
        os.chdir(project.folder)
        ask("submit", str(study), "--url", first)
        print("submitted", flush=True)
        wait_until("running", lambda: state("chained", second) == "running", PATIENCE_SECONDS)
        holder = next(one for one in ("server-1", "server-2") if "submitted" in (folder / f"{one}.log").read_text())
        victim = chain.processes[-2 if holder == "server-1" else -1]
        victim.kill()
        victim.wait()
        left = second if holder == "server-1" else first
        print("killed", flush=True)
        wait_until("the end", lambda: state("chained", left) in ("finished", "failed"), PATIENCE_SECONDS)
        print("ended:", state("chained", left), flush=True)
        written = ask("logs", "chained", "--url", left).splitlines()
        others = [line for line in written if not line.startswith("{")]  # Ray's own
        assert not [line for line in others if "chained" in line], others
        lines = [json.loads(line) for line in written if line.startswith("{")]
        assert {line["study"] for line in lines} == {"chained"}
        print("trials in the log:", len({line["trial"] for line in lines if "trial" in line}), flush=True)
    except BaseException:
        for path in sorted(folder.glob("*.log")):
            print(f"--- {path.name}\n{path.read_text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        for process in reversed(chain.processes):
            process.terminate()


if __name__ == "__main__":
    run(Path(sys.argv[1]))
