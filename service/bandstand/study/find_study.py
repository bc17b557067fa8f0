"""Finds the study that a user names: a TOML file, a Python file, a built-in one, or one in the database.

Knows files and names. Must not know how a study is run.
"""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bandstand.errors import BandstandError, InputError, one_line
from bandstand.extras import require_module
from bandstand.problem.broken_rules import did_you_mean
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.study.users_code.user_modules import find_clash, serve_modules

__all__ = ["FoundStudy", "built_in_studies", "default_code_path", "find_study"]


@dataclass(frozen=True, kw_only=True)
class FoundStudy:
    """A study and where its code is."""

    spec: StudySpec
    code_path: list[str]  # folders in which workers look for the user's modules


def default_code_path() -> list[str]:
    """Folders in which a user's modules are looked for: the running script's and the current one."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = [str(Path(main).absolute().parent)] if main else []
    return [*folders, str(Path.cwd())]


def built_in_studies() -> dict[str, str]:
    """Name -> TOML text of the studies that come with Bandstand."""
    folder = resources.files("bandstand_spaces") / "studies"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def find_study(target: str, stored_spec: Callable[[str], StudySpec] | None = None) -> FoundStudy:
    """The study that `target` names.

    Args:
        target: `study.toml`, `train.py:study`, or the name of a built-in study.
        stored_spec: gives the spec of a stored study, such as `Store.spec`; where given, a name is one of those, so
            that a study is resumed without its file.

    Raises:
        InputError: there is none, or it breaks a rule.
        MissingExtraError: the file imports what an extra brings, such as Keras, and that is not installed.
        StudyNotFoundError: stored studies were to be looked at, and there is none of this name.
    """
    here = str(Path.cwd())
    file, _, attribute = target.partition(":")
    path = Path(file)
    if path.suffix == ".toml" and not attribute:
        return FoundStudy(spec=_from_toml(path), code_path=[str(path.absolute().parent), here])
    if path.suffix == ".py":
        return FoundStudy(spec=_from_python(path, attribute or "study"), code_path=[str(path.absolute().parent), here])
    if stored_spec is not None:
        return FoundStudy(spec=stored_spec(target), code_path=[here])
    built_in = built_in_studies()
    if target in built_in:
        return FoundStudy(
            spec=study_spec_from(tomllib.loads(built_in[target]), f"built-in study {target}"), code_path=[here]
        )
    raise InputError(
        f"a study must be a .toml file, an object in a Python file (train.py:study) or a built-in study "
        f"({', '.join(built_in)}); got {target!r}{did_you_mean(target, built_in)}"
    )


def _from_toml(path: Path) -> StudySpec:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError:
        raise InputError(f"a study file must exist; {str(path)!r} does not: check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"a study file must be readable text; {str(path)!r} is not: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"a study file must be TOML; {str(path)!r} is not: {error}") from None
    return study_spec_from(settings, path.name)


def _from_python(path: Path, attribute: str) -> StudySpec:
    if not path.exists():
        raise InputError(f"a study file must exist; {str(path)!r} does not: check the path")
    folder = str(path.absolute().parent)
    clash = find_clash(path.stem, [folder], here=True)
    if clash is not None:
        raise InputError(f"a study's Python file must be importable; {path.name} is not: {clash}")
    serve_modules([folder])
    try:
        # It may import TensorFlow, which would fill the screen with what it looked for and did not find.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        module = importlib.import_module(path.stem)
    except (Exception, SystemExit) as error:  # a user's file may raise anything
        if isinstance(error, BandstandError):  # which says all there is to say
            raise
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            require_module(error.name, path.name)
        raise InputError(
            f"a study's Python file must be importable; {path.name} raised {type(error).__name__}: {one_line(error)}"
        ) from error
    study = getattr(module, attribute, None)
    if callable(study) and not isinstance(study, StudySpec):
        study = study()
    if isinstance(study, StudySpec):
        return study
    if isinstance(study, Mapping):
        return study_spec_from(study, f"{path.name}:{attribute}")
    raise InputError(
        f"{path.name}:{attribute} must be a StudySpec, a dict of settings or a function that returns one; got "
        f"{'nothing of this name' if study is None else type(study).__name__}"
    )
