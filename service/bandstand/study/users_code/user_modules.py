"""Modules of the user's, served beside Bandstand's: where they are looked for, and which names cannot be theirs.

A user's folder may hold a `random.py` or a `ray.py`. If it stood first on `sys.path`, as Python puts a script's folder,
every library that trains here would import the user's file. So the folders are served by a finder of ours. Of two
modules with one name, the first of these is imported:

    1. one that is loaded already     (Python looks there before it asks any finder)
    2. the standard library's
    3. an installed one that Bandstand stands on, `ray` as well as what Ray needs
    4. the user's                     so an installed `utils` that nobody here needs does not hide it
    5. any other that is installed

A module of the user's that loses to 1, 2 or 3 is a *clash*, which `find_clash` words. The finder stays installed,
because builders import when they are called. Knows Python's import system. Must not know studies, Ray or Keras.
"""

from __future__ import annotations

import ast
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from bandstand.errors import InputError
from bandstand.study.users_code.needed_modules import needed_modules

__all__ = [
    "STOPPED",
    "CodePlace",
    "ScriptStopped",
    "find_clash",
    "find_clashes",
    "find_hidden_folder",
    "find_module",
    "find_source",
    "serve_modules",
    "served_folders",
    "stop_script",
]

STOPPED = "__bandstand_stopped__"
"""The attribute of a module whose import ended early, which says where."""
_RUNS_CODE = "BANDSTAND_RUNS_USERS_CODE"
"""Set in processes that run a study's code, and in those that they start."""
_STANDARD = sys.stdlib_module_names | set(sys.builtin_module_names)


class ScriptStopped(BaseException):  # a signal, as GeneratorExit is, and no error
    """A script starts a study at its top while it is imported for what it defines: it has been read far enough.

    No `Exception`, so that a script that catches what `run_study` may raise does not go on without a result.
    """


@dataclass(frozen=True, kw_only=True)
class CodePlace:
    """Where a user's code is, for the processes that run it."""

    folders: tuple[str, ...] = ()
    """In which modules are looked for, the first one first; what is installed needs none."""
    current_folder: str | None = None
    """From which relative paths in the code start; None: wherever the process stands."""
    arguments: tuple[str, ...] = ()
    """The command line of the script that runs the study, its name first: what it reads when it is imported."""

    def enter(self) -> None:
        """Make this process one that runs the code.

        Relative folders are resolved here: of a job on a cluster, each node has a copy of the code in a place of its
        own, where its processes begin. A folder that is not on this node is passed over.
        """
        os.environ[_RUNS_CODE] = "1"  # processes that the code starts inherit it
        sys.argv[:] = self.arguments or ("",)  # not this process's own, of which the code knows nothing
        folders = [str(Path(folder).absolute()) for folder in self.folders]
        if self.current_folder is not None and Path(self.current_folder).is_dir():
            os.chdir(self.current_folder)
        serve_modules(folders)


def serve_modules(folders: Sequence[str]) -> None:
    """Serve the modules of these folders from now on; those of folders that are served already come after them.

    The folders come to stand at the end of `sys.path`, too, where they hide nothing: processes that the user's code
    starts inherit that path, but no finder.

    Args:
        folders: absolute.
    """
    finder = next((one for one in sys.meta_path if isinstance(one, _UserModules)), None)
    if finder is None:
        finder = _UserModules()
        # Before whatever looks on `sys.path`, behind what serves built-in and frozen modules.
        place = next((at for at, one in enumerate(sys.meta_path) if one is PathFinder), len(sys.meta_path))
        sys.meta_path.insert(place, finder)
    finder.folders = list(dict.fromkeys([*folders, *finder.folders]))
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def served_folders() -> list[str]:
    """The folders whose modules are served in this process."""
    return next((one.folders for one in sys.meta_path if isinstance(one, _UserModules)), [])


def stop_script(what: str) -> None:
    """To be called first where a study is started.

    A worker imports the script that names its functions. If that script starts the study at its top, without
    `if __name__ == "__main__":`, the worker must not start it once more. What stands above that line is there then.
    Nor must what the script's import leaves behind, such as a thread or a process.

    Args:
        what: was called, for the message.

    Raises:
        ScriptStopped: a module of the user's is being imported by the finder, in whatever thread.
        InputError: this process runs a study's code, or was started by it.
    """
    if _importing.depth:
        raise ScriptStopped(what)
    if _RUNS_CODE in os.environ:
        raise InputError(
            f"{what} must not be called in a process that trains a study; this one does: put the call under "
            '`if __name__ == "__main__":`'
        )


class _Importing:
    """How many of the user's modules this process is importing, in whatever threads and one within the other."""

    def __init__(self) -> None:
        self.depth = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.depth -= 1


_importing = _Importing()


class _UserModules(MetaPathFinder):
    """The finder; there is one in a process."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python asks: for a module at the top, or for one of a package that is the user's."""
        if path is None:
            spec = None if fullname in _STANDARD else _find_own(fullname, self.folders)
        else:
            spec = PathFinder.find_spec(fullname, path) if self._holds(path) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _ScriptLoader(spec.loader.name, spec.loader.path)
        return spec

    def _holds(self, path: Iterable[str]) -> bool:
        return any(Path(place).is_relative_to(folder) for place in path for folder in self.folders)


class _ScriptLoader(SourceFileLoader):
    """Imports a script up to the line where it starts a study."""

    def exec_module(self, module: ModuleType) -> None:
        """As Python's."""
        with _importing:
            try:
                super().exec_module(module)
            except ScriptStopped as stop:
                setattr(module, STOPPED, str(stop))


def find_module(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """What an import gives in a process that serves these folders; None where there is no such module.

    Args:
        name: may have dots. Within an installed package nothing is looked for, because it may make modules as it runs.
        folders: the user's.
    """
    top, *inside = name.split(".")
    if top in _STANDARD:
        return PathFinder.find_spec(top) or ModuleSpec(top, None, origin="built-in")
    own = _find_own(top, folders)
    installed = None if own is not None else PathFinder.find_spec(top)
    if installed is not None and _regular(installed) is not None:
        return installed
    if own is None and installed is None:
        return _find_by_others(top)
    spec = own or installed
    for part in inside:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec


def find_clash(name: str, folders: Sequence[str], *, here: bool = False) -> str | None:
    """Why a module of these folders is not what an import of its name gives; None where it is, or is not there.

    Args:
        name: at the top level, without dots.
        folders: the user's.
        here: whether it is this process that imports, so that what is loaded in it counts, too.

    Returns:
        Such as `/srv/project/random.py has the name of a module of Python's standard library: rename it`.
    """
    own = _regular(PathFinder.find_spec(name, list(folders)))
    if own is None:
        return None
    place = Path(str(own.origin))
    place = place.parent if place.name == "__init__.py" else place
    if name in _STANDARD:
        return f"{place} has the name of a module of Python's standard library: rename it"
    if _is_needed(name, own):
        return f"{place} has the name of an installed package that Bandstand needs: rename it"
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if here and loaded is not None and os.path.realpath(loaded) != os.path.realpath(str(own.origin)):
        return f"{place} has the name of a module that is already loaded, {loaded}: rename it"
    return None


def find_hidden_folder(name: str, folders: Sequence[str]) -> str | None:
    """Why no module of a user's folder without `__init__.py` is found; None where that is not so.

    Args:
        name: of the module, such as `test.helpers`.
        folders: the user's.
    """
    top = name.partition(".")[0]
    own = PathFinder.find_spec(top, list(folders)) if top else None
    if own is None or _regular(own) is not None or not own.submodule_search_locations:
        return None
    other = _regular(_find_other(top, own))
    if other is None:
        return None
    place = next(iter(own.submodule_search_locations))
    return f"the folder {place} has the name of the package at {other.origin}: put an __init__.py into it, or rename it"


def find_clashes(module: str, folders: Sequence[str], *, here: bool = False) -> list[str]:
    """The clashes among what a module of the user's imports, and among what these modules import in turn.

    Nothing is imported; what cannot be read has none. The arguments are those of `find_clash`; the name may have dots.
    """
    found: dict[str, None] = {}
    seen: set[Path] = set()
    waiting = [module]
    while waiting:
        file = find_source(waiting.pop(), folders)
        if file is None or file in seen:
            continue
        seen.add(file)
        for name in _imports_of(file):
            clash = find_clash(name.partition(".")[0], folders, here=here)
            if clash is None:
                waiting.append(name)
            else:
                found[clash] = None
    return list(found)


def _find_own(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """The spec of a module of these folders, if the name may be the user's."""
    own = PathFinder.find_spec(name, list(folders))
    if own is None:
        return None
    other = _find_other(name, own)
    if other is not None and name in needed_modules():
        # A mere folder, such as `google`, would lose to the user's module at the end of the path: it is served here.
        return other if _regular(other) is None else None
    if _regular(own) is None and _regular(other) is not None:
        return None  # a folder that is no package, such as the `wandb` of its logs, does not hide one
    return own


def _is_needed(name: str, own: ModuleSpec) -> bool:
    """Whether a module of the user's has the name of an installed one that Bandstand stands on, such as `google`."""
    return _find_other(name, own) is not None and name in needed_modules()


def _find_other(name: str, own: ModuleSpec) -> ModuleSpec | None:
    """The module, or the folder of modules, of this name that is installed."""
    places = own.submodule_search_locations or [str(own.origin)]
    homes = {os.path.realpath(Path(place).parent) for place in places}
    return PathFinder.find_spec(name, [place for place in sys.path if os.path.realpath(place) not in homes])


def _find_by_others(name: str) -> ModuleSpec | None:
    """What finders that do not look on `sys.path` know, such as those of packages installed to be edited."""
    finders = (one for one in sys.meta_path if one is not PathFinder and not isinstance(one, _UserModules))
    found = (find(name, None) for one in finders if (find := getattr(one, "find_spec", None)) is not None)
    return next((spec for spec in found if spec is not None), None)


def _regular(spec: ModuleSpec | None) -> ModuleSpec | None:
    """The spec, unless it is of a folder without `__init__.py`, which is no more than a place to look in."""
    return None if spec is None or spec.origin is None else spec


def find_source(module: str, folders: Sequence[str]) -> Path | None:
    """The source of a module in these folders; None where they have none."""
    inside = Path(*module.split("."))
    for folder in folders:
        for file in (Path(folder, inside, "__init__.py"), Path(folder, inside).with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _imports_of(file: Path) -> list[str]:
    """The modules that a source names in import statements, wherever in it they stand."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
