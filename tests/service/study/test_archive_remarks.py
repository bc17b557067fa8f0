"""What is unusual about an archive is told when it is uploaded."""

from __future__ import annotations

import pytest

from bandstand.study.users_code.archive_remarks import archive_remarks
from bandstand.study.users_code.code_archive import CodeArchive


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fast.cpython-311-x86_64-linux-gnu.so", "compiled files"),
        ("inner/libfast.so.1.2", "compiled files"),
        ("inner/FAST.PYD", "compiled files"),
        ("sitecustomize.py", "files that Python would run when it starts"),
        ("usercustomize/__init__.py", "files that Python would run when it starts"),
        ("project.pth", "files that Python would run when it starts"),
        ("numpy/__init__.py", "a name of a package that Bandstand needs"),
        ("keras.py", "a name of a package that Bandstand needs"),
        ("sklearn/metrics.py", "a name of a package that Bandstand needs"),
        ("ray.so", "a name of a package that Bandstand needs"),
        ("bandstand/__init__.py", "a name of a package that Bandstand needs"),
        ("random.py", "a name of Python's standard library"),
    ],
)
def test_an_unusual_file_is_told_with_its_name_and_a_way_out(name: str, told: str) -> None:
    (line,) = [line for line in archive_remarks(["project.py", name]) if told in line]
    assert name.partition("/")[0].partition(".")[0] in line
    assert "; " in line
    assert "\n" not in line


def test_a_usual_project_is_not_remarked_upon() -> None:
    names = [
        "project.py",
        "parts/numpy.py",
        "parts/random.py",
        "data.csv",
        "numpy.txt",
        "README",
        "so/x.py",
        "a.so.txt",
    ]
    assert archive_remarks(names) == []


def test_many_files_of_a_kind_are_one_line() -> None:
    (line,) = archive_remarks([f"inner/part{number}.so" for number in range(200)])
    assert "and 197 more" in line


def test_an_archive_tells_of_its_own_files() -> None:
    archive = CodeArchive.of_files({"project.py": b"", "keras.py": b""})
    assert len(archive.remarks()) == 1
