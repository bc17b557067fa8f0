"""A process in which only the packages of some extras can be imported, as if nothing else were installed."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from typing import NamedTuple

from packaging.utils import canonicalize_name

from deploy.releasing.packages import distributions_of

__all__ = ["Said", "modules_hidden_beside", "run_commands", "run_python"]


class Said(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def modules_hidden_beside(*extras: str) -> list[str]:
    """Installed modules at the top level that an installation with these extras does not have."""
    there = distributions_of(*extras)
    owners = metadata.packages_distributions()
    hidden = {name for name, dists in owners.items() if not {canonicalize_name(each) for each in dists} & there}
    return sorted(name for name in hidden if name.isidentifier())


_HIDE = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path

class Others(PathFinder):
    "Finds as Python does, but not what is hidden; copies that a package keeps in a folder of its own are no matter."

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and name in {hidden!r}:
            places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
            return None if any(Path(place).parent == Path({place!r}) for place in places) else spec
        return spec

sys.meta_path[sys.meta_path.index(PathFinder)] = Others
"""


def run_python(script: str, *extras: str) -> subprocess.CompletedProcess[str]:
    """Run a script where modules beside those of the extras are not found."""
    before = _HIDE.format(hidden=set(modules_hidden_beside(*extras)), place=sysconfig.get_path("purelib"))
    return subprocess.run([sys.executable, "-c", before + script], capture_output=True, text=True, timeout=300)


_COMMANDS = """
import contextlib, io, json
from bandstand.commands.cli import main

found = []
for arguments in {commands!r}:
    sys.argv = ["bandstand", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    found.append([code or 0, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


def run_commands(commands: Sequence[Sequence[str]], *extras: str) -> list[Said]:
    """Run commands, one after the other in one process, where modules beside those of the extras are not found."""
    done = run_python(_COMMANDS.format(commands=[list(each) for each in commands]), *extras)
    assert done.returncode == 0, done.stderr
    return [Said(*each) for each in json.loads(done.stdout.splitlines()[-1])]
