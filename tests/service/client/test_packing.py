"""What goes along with a study: a whole folder, the Python files beside its modules, or nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bandstand.client.packing import pack_study
from bandstand.errors import InputError
from bandstand.problem.budget import Budget
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Float, SearchSpace


def spec_of(model: str, data: str = "train:load") -> StudySpec:
    space = SearchSpace({"rate": Float(0.1, 1.0)})
    return StudySpec(name="packed", model=model, data=data, space=space, max_epochs=3, budget=Budget(epochs=9))


def names_in(packed) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(packed.archive.content)).namelist()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("train.py", "nets/__init__.py", "nets/cnn.py", "table.csv", "report.html", "work.ipynb", ".env",
                 "__pycache__/train.pyc", "myenv/pyvenv.cfg", "myenv/lib/x.py"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("# content")
    return folder


def test_a_folder_that_is_named_goes_along_with_all_that_belongs_and_says_what_does_not(project):
    packed = pack_study(spec_of("train:build"), code=project)
    assert names_in(packed) == ["nets/__init__.py", "nets/cnn.py", "report.html", "table.csv", "train.py"]
    assert packed.notes == [
        f"not sent from {project}: .env, __pycache__/, myenv/, work.ipynb",
        "code: 5 files, 1 kB packed",
    ]
    assert packed.spec == spec_of("train:build")


def test_the_python_files_beside_a_module_that_is_not_installed_go_along(project):
    packed = pack_study(spec_of("train:build"), code_path=[project])
    assert names_in(packed) == ["nets/__init__.py", "nets/cnn.py", "train.py"]
    assert packed.notes[0] == (
        f"sending only the Python files of {project}; to send all of its files, name it: --code DIR"
    )


def test_a_module_of_a_package_takes_the_folder_of_the_package_along(project):
    packed = pack_study(spec_of("nets.cnn:build", "nets.cnn:load"), code_path=[project])
    assert "nets/cnn.py" in names_in(packed)


def test_what_is_written_beside_the_modules_changes_nothing(project):
    first = pack_study(spec_of("train:build"), code_path=[project]).archive
    (project / "report.html").write_text("written since")
    (project / "train.py").touch()
    again = pack_study(spec_of("train:build"), code_path=[project]).archive
    assert first is not None
    assert again == first


def test_nothing_goes_along_with_modules_that_are_installed(tmp_path):
    packed = pack_study(
        spec_of("bandstand_workers.models.digits_mlp:build", "sklearn.datasets:load_digits"), code_path=[tmp_path]
    )
    assert packed.archive is None
    assert packed.notes == []


def test_a_module_that_is_nowhere_is_said_to_be_the_clusters(tmp_path):
    packed = pack_study(spec_of("there:build", "there:load"), code_path=[tmp_path])
    assert packed.archive is None
    assert packed.notes == ["the module 'there' is not on this machine, so the cluster must have it"]


def test_home_is_not_a_project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "train.py").write_text("# content")
    with pytest.raises(InputError, match="code must be the folder of a project"):
        pack_study(spec_of("train:build"), code_path=[tmp_path])


def test_two_folders_with_different_files_of_one_name_are_refused(tmp_path):
    for folder, content in (("one", "1"), ("two", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shared.py").write_text(content)
    (tmp_path / "one/mine.py").write_text("")
    (tmp_path / "two/yours.py").write_text("")
    with pytest.raises(InputError, match=r"code must be one folder; 'shared.py' is in two"):
        pack_study(spec_of("mine:build", "yours:load"), code_path=[tmp_path / "one", tmp_path / "two"])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="code must be a folder"):
        pack_study(spec_of("train:build"), code=tmp_path / "nowhere")
