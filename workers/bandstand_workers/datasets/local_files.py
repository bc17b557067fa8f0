"""The folder with local copies of data sets, for machines without internet access."""

import os
from pathlib import Path


def find_local(*paths: str) -> tuple[Path, ...] | None:
    """Where the files `paths` lie under the folder that `BANDSTAND_DATA` names; None unless all of them are there."""
    folder = os.environ.get("BANDSTAND_DATA")
    if not folder:
        return None
    files = tuple(Path(folder) / path for path in paths)
    return files if all(file.is_file() for file in files) else None
