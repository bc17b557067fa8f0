"""`python -m tests.faults`: a storm over one study of each kind, and what the audits have found.

Knows the order of things. Must not know how anything is killed or checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from bandstand.store.store import Store
from tests.faults import gates
from tests.faults.audit import audit_study, check_journal
from tests.faults.processes import adopt_orphans, living, of_kind, own
from tests.faults.replay import replay_decisions
from tests.faults.storm import StormedStudy, overview, start_server
from tests.faults.strikes import Strikes
from tests.faults.studies import EPOCH_SECONDS, JOURNAL, STUDIES, make_project, settings_of, write_study

ROOT = Path(__file__).parents[2]
_KEPT = 4
"""Folders of Rays that died: three for whoever asks why, and one that was found dead after the last start."""


class Storm:
    """All studies of a storm, in a home of their own."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.folder = Path(tempfile.mkdtemp(prefix="storm-", dir=arguments.folder))
        self.rng = random.Random(arguments.seed)
        self.findings: list[str] = []
        self.figures = {"studies": 0, "starts": 0, "decisions": 0, "metrics": 0, "largest": 0.0}

    def run(self) -> int:
        """Let it rage; the exit code."""
        arguments = self.arguments
        self._log(f"seed {arguments.seed}, folder {self.folder}")
        self._prepare()
        deadline = time.monotonic() + arguments.minutes * 60
        strikes = Strikes(self.rng, self._url())
        kinds = arguments.only or list(STUDIES)
        round_number = 0
        try:
            while strikes.total < arguments.kills and time.monotonic() < deadline:
                kind = kinds[round_number % len(kinds)]
                self._study(f"{kind}-{round_number}", kind, strikes, deadline)
                round_number += 1
        finally:
            strikes.close()
            self._end()
        self._tell(strikes)
        return 1 if self.findings else 0

    # -- one study ----------------------------------------------------------------------------------------------------

    def _study(self, name: str, kind: str, strikes: Strikes, deadline: float) -> None:
        arguments = self.arguments
        folder = self.folder / "project" / name
        make_project(folder)
        settings = settings_of(kind, name, seed=self.rng.randrange(1000), epochs=arguments.epochs)
        file = write_study(folder, settings)
        os.environ[JOURNAL] = str(folder / "journal")
        left = arguments.kills - strikes.total
        study = StormedStudy(name, file, strikes, self._log, min(arguments.kills_each, left))
        before, begun = strikes.total, time.monotonic()
        done = study.run(deadline)
        self.figures["starts"] += study.starts
        found = study.findings
        if done:
            self.figures["studies"] += 1
            start_server()
            found += self._audits(name, settings, folder)
        self._log(
            f"{name}: {strikes.total - before} kills, {study.starts} starts, {time.monotonic() - begun:.0f} s, "
            f"{'ended' if done else 'not ended: the time was up'}, {len(found)} findings"
        )
        for line in found:
            self._log(f"  FINDING {line}")
        self.findings += found

    def _audits(self, name: str, settings: dict[str, Any], folder: Path) -> list[str]:
        url = self._url()
        found = audit_study(url, name, self.arguments.epochs, self.folder / "home" / "checkpoints")
        found += check_journal(url, name, folder / "journal")
        store = Store(url)
        try:
            spec = store.spec(name)
            writer = store.claim(spec, "the audit")
            try:
                events = writer.events()
            finally:
                writer.close()
        finally:
            store.close()
        decisions, differing = replay_decisions(spec, events)
        self.figures["decisions"] += decisions
        found += differing[:5]
        if not self.arguments.no_curves:
            found += self._curves(name, settings, folder)
        return found

    def _curves(self, name: str, settings: dict[str, Any], folder: Path) -> list[str]:
        """Train the study's trials again without any interruption, and compare."""
        query = """
            SELECT t.number, t.params, t.parent, t.from_epoch, p.data ->> 'weights', p.data -> 'learning_rates', (
              SELECT json_agg(m.metrics ORDER BY m.epoch) FROM bandstand_store.measurement m
              WHERE m.study_id = t.study_id AND m.trial = t.number)
            FROM bandstand_store.trial t JOIN bandstand_store.study s ON s.id = t.study_id
            JOIN bandstand_store.event p ON p.study_id = s.id AND p.trial = t.number AND p.kind = 'proposed'
            WHERE s.name = %s ORDER BY t.number
        """
        keys = ("number", "params", "parent", "from_epoch", "weights", "learning_rates", "metrics")
        with psycopg.connect(self._url()) as connection:
            rows = connection.execute(query.encode(), (name,)).fetchall()
        trials = [dict(zip(keys, row, strict=True)) for row in rows]
        trials = [trial | {"metrics": trial["metrics"] or []} for trial in trials]
        job = {"spec": settings, "trials": [trial for trial in trials if trial["metrics"]]}
        environment = {key: value for key, value in os.environ.items() if key not in (JOURNAL, EPOCH_SECONDS)}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.faults.unbroken"],
            env=environment | {"PYTHONPATH": f"{ROOT}:{folder}", "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        own.add(process.pid)
        output, errors = process.communicate(json.dumps(job), timeout=600)
        if process.returncode:
            return [f"{name}: its trials could not be trained again: {errors[-1500:]}"]
        result = json.loads(output.splitlines()[-1])
        self.figures["metrics"] += result["compared"]
        self.figures["largest"] = max(self.figures["largest"], result["largest"])
        if result["differing"]:
            differing = result["differing"]
            return [f"{name}: {len(differing)} metrics differ from an unbroken training: {differing[:4]}"]
        return []

    # -- around them --------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        for name in ("home", "t", "settings"):
            (self.folder / name).mkdir()
        (self.folder / "t").chmod(0o1777)
        for name in (
            "BANDSTAND_DATABASE_URL",
            "BANDSTAND_CHECKPOINTS",
            "BANDSTAND_TOKEN",
            "BANDSTAND_URL",
            "RAY_ADDRESS",
        ):
            os.environ.pop(name, None)
        os.environ |= {
            "BANDSTAND_HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "settings"),
            "TMPDIR": str(self.folder / "t"),
            EPOCH_SECONDS: str(self.arguments.epoch_seconds),
        }
        adopt_orphans()
        done = subprocess.Popen([sys.executable, "-m", "bandstand", "db", "upgrade"], stdout=subprocess.DEVNULL)
        own.add(done.pid)
        done.wait(120)
        start_server()
        gates.install(self._url())

    def _url(self) -> str:
        return f"postgresql://postgres@/bandstand?host={self.folder / 'home' / 'postgres'}"

    def _end(self) -> None:
        """Have the server stop as the last command's does, and see that nothing is left."""
        code = "from bandstand.store.embedded import embedded_url; embedded_url()"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
        own.add(process.pid)
        process.wait(120)
        deadline = time.monotonic() + 20
        while (left := living()) and time.monotonic() < deadline:
            time.sleep(0.5)
        if left:
            self.findings.append(f"processes are left at the end: {overview(left)}")
        for one in of_kind("postmaster") + left:
            one.kill()
        lying = [path.name for path in (self.folder / "t").iterdir()]
        of_rays = [name for name in lying if name.startswith("bandstand-ray-")]
        if len(of_rays) > _KEPT:
            self.findings.append(f"{len(of_rays)} folders of Rays that died are left; {_KEPT} are kept on purpose")
        # The package of the embedded PostgreSQL locks a file.
        others = [name for name in lying if name not in (*of_rays, ".lockfile")]
        if others:
            self.findings.append(f"{len(others)} things are left in the folder for temporary files: {others[:5]}")

    def _tell(self, strikes: Strikes) -> None:
        figures = self.figures
        victims = ", ".join(f"{count} {name}" for name, count in strikes.kills.most_common() if " " not in name)
        points = ", ".join(f"{count} {name}" for name, count in sorted(strikes.kills.items()) if " " in name)
        self._log(
            f"{strikes.total} kills ({victims}), {strikes.freezes} freezes; at durable steps: {points or 'none'}; "
            f"{strikes.missed} strikes found nobody"
        )
        self._log(
            f"{figures['studies']} studies ended in {figures['starts']} starts; {figures['decisions']} decisions were "
            f"asked for again; {figures['metrics']} metrics were trained again, the largest relative difference is "
            f"{figures['largest']:.1e}"
        )
        self._log(
            f"{len(self.findings)} findings" + (f"; everything is kept in {self.folder}" if self.findings else "")
        )
        for line in self.findings:
            self._log(f"FINDING {line}")
        if not self.findings and not self.arguments.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _log(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> int:
    """Read the command line and run the storm."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="kills in all (default 500)")
    parser.add_argument("--kills-each", type=int, default=25, help="kills of one study at most (default 25)")
    parser.add_argument("--minutes", type=float, default=240, help="the storm ends after so long (default 240)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="draws victims and moments")
    parser.add_argument("--epochs", type=int, default=60, help="budget of a study (default 60)")
    parser.add_argument(
        "--epoch-seconds", type=float, default=0.15, help="how much longer an epoch takes (default 0.15)"
    )
    parser.add_argument("--only", nargs="*", choices=list(STUDIES), help="kinds of studies (default all)")
    parser.add_argument("--no-curves", action="store_true", help="train nothing again")
    parser.add_argument(
        "--folder", default=None, help="where the storm's own folder is made (default: temporary files)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the storm's folder")
    return Storm(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
