"""Functions that no module holds, kept in a folder of this machine, where its trainers import them.

Knows the folder. Must not know how they are packed. Whoever may write there can change what is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bandstand.locations import bandstand_home
from bandstand.private_folders import home_folder
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.packed_functions import is_packed, loose_functions, pack_functions, with_packed

__all__ = ["keep_functions", "kept_folders"]

_FOLDER = "functions"


def keep_functions(spec: StudySpec) -> StudySpec:
    """The study with its loose functions in files, so that another process can import them, now and when it goes on.

    The same functions, using the same, have the same names. So a study that is run again with others differs from the
    stored one, and is refused.

    Raises:
        InputError: something that they use cannot be pickled, or is too large.
    """
    loose = loose_functions(spec)
    if not loose:
        return spec
    packed = pack_functions(loose)
    folder = home_folder(_FOLDER)
    for name, content in packed.files.items():
        file = folder / name
        if not file.exists():
            unfinished = file.with_name(f"{name}.unfinished")
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(content)
            unfinished.replace(file)
    return with_packed(spec, packed)


def kept_folders(specs: Sequence[StudySpec]) -> list[str]:
    """The folder in which functions of these studies are looked for, besides the user's; none where none is kept."""
    return [str(_folder())] if any(is_packed(one) for spec in specs for one in spec.references) else []


def _folder() -> Path:
    return bandstand_home() / _FOLDER
