"""Archives of code: equal for equal files, and never unpacked where they would do harm."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from bandstand.errors import InputError
from bandstand.submissions import MAX_CODE_BYTES, CodeArchive


def archive_of(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return CodeArchive(buffer.getvalue())


def test_a_folder_makes_the_same_archive_whenever_its_files_were_written(tmp_path):
    (tmp_path / "package").mkdir()
    for name, text in (("train.py", "x = 1"), ("package/__init__.py", "")):
        (tmp_path / name).write_text(text)
    first = CodeArchive.of_folder(tmp_path)
    (tmp_path / "train.py").unlink()
    (tmp_path / "train.py").write_text("x = 1")
    assert CodeArchive.of_folder(tmp_path).sha256 == first.sha256


def test_caches_environments_hidden_files_and_links_are_left_out(tmp_path):
    for name in ("train.py", ".env", "__pycache__/train.pyc", ".venv/lib/x.py", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("secret")
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    names = zipfile.ZipFile(io.BytesIO(CodeArchive.of_folder(tmp_path).content)).namelist()
    assert names == ["train.py"]


def test_an_archive_unpacks_to_its_files(tmp_path):
    CodeArchive.of_files({"a/b.py": b"x = 1", "c.bin": b"\0\1"}).unpack(tmp_path)
    assert (tmp_path / "a/b.py").read_bytes() == b"x = 1"
    assert (tmp_path / "c.bin").read_bytes() == b"\0\1"


@pytest.mark.parametrize("name", ["../up.py", "a/../../up.py", "/etc/cron", "c:\\x.py", "a\\b.py"])
def test_paths_that_lead_out_are_refused(name, tmp_path):
    hostile = archive_of((zipfile.ZipInfo(name), b"x"))
    with pytest.raises(InputError, match="stay inside"):
        hostile.unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["service/__init__.py", "workers.py", "random.py", "ray/__init__.py", "bandstand.py"])
def test_modules_may_have_any_name(name):
    CodeArchive.of_files({name: b""}).check()


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="is a link"):
        archive_of((link, b"/etc/passwd")).unpack(tmp_path)


def test_what_is_no_zip_file_or_too_large_is_refused(tmp_path):
    with pytest.raises(InputError, match="must be a zip file"):
        CodeArchive(b"not a zip").check()
    with pytest.raises(InputError, match="at most 50 MB"):
        CodeArchive(b"\0" * (MAX_CODE_BYTES + 1)).check()
    bomb = archive_of((zipfile.ZipInfo("zeros"), b""))
    buffer = io.BytesIO(bomb.content)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as file:
        for _ in range(501):
            file.write(b"\0" * 10**6)
    with pytest.raises(InputError, match="when unpacked; got more: keep data"):
        CodeArchive(buffer.getvalue()).unpack(tmp_path)


def test_a_damaged_archive_is_refused_in_one_line(tmp_path):
    content = bytearray(CodeArchive.of_files({"train.py": b"x = 1" * 100}).content)
    content[45:50] = b"\xff" * 5
    with pytest.raises(InputError, match="cannot be read"):
        CodeArchive(bytes(content)).unpack(tmp_path)
