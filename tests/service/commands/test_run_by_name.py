"""`bandstand run` with what is no study file, and `run_study` with a user's mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bandstand.store.store import Store
from tests.service.commands.in_process import Bandstand
from tests.service.store.written_study import make_spec

SCRIPT = """
from bandstand import run_study

if __name__ == "__main__":
    run_study(SETTINGS)
"""


def test_the_name_of_a_study_that_has_begun_leads_to_resume(bandstand: Bandstand, store: Store) -> None:
    store.claim(make_spec(name="begun, of old"), "a test").close()
    said = bandstand("run", "begun, of old")
    assert said.code == 2
    assert "continue it with `bandstand run 'begun, of old' --resume`" in said.err
    said = bandstand("run", "never begun")
    assert said.code == 2
    assert "--resume" not in said.err
    assert "a study must be a .toml file" in said.err


def run(tmp_path: Path, settings: str) -> list[str]:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("SETTINGS", settings))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()


def test_a_script_shows_its_own_line_and_one_message_for_its_users_mistake(tmp_path: Path) -> None:
    lines = run(tmp_path, '{"name": "x", "epochs": 3}')
    assert lines[-1] == "bandstand.errors.InputError: study: there is no setting epochs; did you mean max_epochs?"
    frames = [line for line in lines if line.startswith('  File "')]
    assert len(frames) == 2, lines
    assert "train.py" in frames[0]
    assert "During handling" not in "\n".join(lines)


def test_a_script_shows_all_of_a_bug(tmp_path: Path) -> None:
    space = {"a": {"type": "int", "low": 1, "high": 3}}
    spec = {"name": "x", "model": "a:b", "data": "a:c", "max_epochs": 3, "budget": {"epochs": 3}, "space": space}
    lines = run(tmp_path, f"{spec}, code_path=7")
    assert lines[-1] == "TypeError: 'int' object is not iterable"
    assert len([line for line in lines if line.startswith('  File "')]) >= 3
