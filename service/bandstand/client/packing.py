"""Which code goes with a study: a folder, the Python files beside its modules, functions of a notebook, or none.

Knows modules and where they are. Must not know how code is sent. Nothing is imported that is not imported already.
"""

from __future__ import annotations

import pickletools
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bandstand.errors import InputError
from bandstand.report.text import counted
from bandstand.study.cost_notes import cost_notes
from bandstand.study.find_study import default_code_path
from bandstand.study.references import InteractiveReference
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_archive import CodeArchive, list_files
from bandstand.study.users_code.code_check import check_names, clash_notes
from bandstand.study.users_code.packed_functions import PackedFunctions, loose_functions, pack_functions, with_packed
from bandstand.study.users_code.user_modules import find_module

__all__ = ["PackedStudy", "pack_study"]

_OURS = ("bandstand", "bandstand_spaces", "bandstand_workers")
_INSTALLED = ("site-packages", "dist-packages")
_NAMED = 6  # of what is left out


@dataclass(frozen=True, kw_only=True)
class PackedStudy:
    """A study whose functions all have names that the cluster can import, and the code that holds them."""

    spec: StudySpec
    archive: CodeArchive | None
    """None: the cluster has the modules."""
    notes: list[str]
    """What the user should know of the code, a line each."""
    notebook: str | None = None
    """The module that holds functions of a notebook; equal code has equal names, though not equal archives."""


def pack_study(
    spec: StudySpec, code: str | Path | None = None, code_path: Sequence[str | Path] | None = None
) -> PackedStudy:
    """Pack what a study needs.

    Args:
        spec: the study; its functions may be of a notebook.
        code: the project's folder, all of which is sent; left out, the Python files beside the study's modules are, if
            they are not installed.
        code_path: folders in which modules are looked for; the running script's and the current one when left out.

    Raises:
        InputError: there is no such folder, it is too large, a function cannot be packed, or a module has the name of
            another that would be imported in its place.
    """
    folders = [Path(folder).absolute() for folder in code_path or default_code_path()]
    places = [str(folder) for folder in ([] if code is None else [Path(code).absolute()]) + folders]
    check_names(spec, places)
    functions = loose_functions(spec)
    named = {one.partition(":")[0] for one in spec.references if not isinstance(one, InteractiveReference)}
    pickled = pack_functions(functions) if functions else None
    if code is not None:
        files, notes = _whole_folder(Path(code))
    else:
        wanted = named | (_modules_in(pickled) if pickled else set())
        files, notes = _python_files(_homes_of(wanted, folders))
    notes += cost_notes(spec) + clash_notes(spec, places)
    notes += [
        f"the module {name!r} is not on this machine, so the cluster must have it"
        for name in _missing(named, files, folders)
    ]
    if pickled is not None:
        pickled = pack_functions(functions, [part.encode() for part in files] + list(files.values()))
        spec = with_packed(spec, pickled)
        names = ", ".join(dict.fromkeys(function.short_name for function in functions))
        notes.append(f"sending functions of this session as they are now: {names}")
        files = files | pickled.files
    if not files:
        return PackedStudy(spec=spec, archive=None, notes=notes)
    archive = CodeArchive.of_files(files)
    notes += archive.remarks()
    notes.append(f"code: {counted(len(files), 'file')}, {_size(len(archive.content))} packed")
    return PackedStudy(spec=spec, archive=archive, notes=notes, notebook=pickled.module if pickled else None)


def _whole_folder(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    _check_folder(folder)
    paths, left_out = list_files(folder)
    CodeArchive.check_sizes(folder, paths)
    notes = []
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        notes.append(f"not sent from {folder}: {', '.join(left_out[:_NAMED])}{more}")
    return {name: path.read_bytes() for name, path in paths.items()}, notes


def _python_files(folders: Iterable[Path]) -> tuple[dict[str, bytes], list[str]]:
    """The Python files of some folders as one archive's; of two with one path, an equal one is kept."""
    files: dict[str, bytes] = {}
    notes = []
    for folder in folders:
        _check_folder(folder)
        paths = {name: path for name, path in list_files(folder)[0].items() if path.suffix == ".py"}
        CodeArchive.check_sizes(folder, paths)
        for name, path in paths.items():
            content = path.read_bytes()
            if files.setdefault(name, content) != content:
                raise InputError(
                    f"code must be one folder; {name!r} is in two, and one of them is {folder}: name the folder to send"
                )
        notes.append(f"sending only the Python files of {folder}; to send all of its files, name it: --code DIR")
    return files, notes


def _check_folder(folder: Path) -> None:
    if folder.resolve() in (Path.home().resolve(), Path(folder.resolve().anchor)):
        raise InputError(
            f"code must be the folder of a project; {str(folder)!r} holds everything: give the project its own folder"
        )


def _homes_of(modules: Iterable[str], folders: Sequence[Path]) -> list[Path]:
    """The folders that hold these modules, those that are installed left out."""
    homes = (_home_of(module.partition(".")[0], folders) for module in sorted(modules))
    return list(dict.fromkeys(home for home in homes if home is not None))


def _home_of(module: str, folders: Sequence[Path]) -> Path | None:
    """The folder from which a top-level module is imported; None if it is nowhere, or part of an installation."""
    if module in _OURS or module in sys.builtin_module_names:
        return None
    spec = getattr(sys.modules.get(module), "__spec__", None) or find_module(module, [str(each) for each in folders])
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or [])
    if spec.origin in ("built-in", "frozen") or not (places or spec.origin):
        return None
    home = Path(places[0] if places else str(spec.origin)).absolute().parent
    return None if _is_installed(home) else home


def _is_installed(home: Path) -> bool:
    standard = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib")}
    if any(part in _INSTALLED for part in home.parts):
        return True
    return any(home.resolve().is_relative_to(place) for place in standard)


def _missing(modules: Iterable[str], files: Mapping[str, bytes], folders: Sequence[Path]) -> list[str]:
    """Those that are neither sent nor installed here."""
    tops = sorted({module.partition(".")[0] for module in modules})
    sent = {re.split(r"[./]", name)[0] for name in files}
    places = [str(folder) for folder in folders]
    return [top for top in tops if top not in sent and top not in sys.modules and find_module(top, places) is None]


def _modules_in(packed: PackedFunctions) -> set[str]:
    """Names in a pickle that may be modules: those that it imports, and those that its functions will."""
    pickled = packed.files[f"{packed.module}.pkl"]
    texts = {value for _, value, _ in pickletools.genops(pickled) if isinstance(value, str)}
    words = {text.partition(".")[0] for text in texts if all(part.isidentifier() for part in text.split("."))}
    return {word for word in words if word in sys.modules or _is_a_file(word)} - {"__main__"}


def _is_a_file(word: str) -> bool:
    """Whether a module of this name could be imported, not counting any folder of the same name."""
    spec = find_module(word, default_code_path())
    return spec is not None and spec.origin is not None


def _size(count: int) -> str:
    return f"{count / 10**6:.1f} MB" if count >= 10**6 else f"{max(1, round(count / 1000))} kB"
