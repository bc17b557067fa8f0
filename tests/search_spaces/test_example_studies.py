"""The registry of spaces, and the study file that comes with each of them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bandstand_spaces
from bandstand_spaces import SEARCH_SPACES
from bandstand_workers.datasets import DATASETS
from bandstand_workers.models import MODELS

STUDIES = sorted(Path(bandstand_spaces.__file__).parent.joinpath("studies").glob("*.toml"))


def test_every_space_has_a_model_and_a_study():
    assert sorted(SEARCH_SPACES) == sorted(MODELS) == [file.stem for file in STUDIES]


def test_the_registries_cannot_be_changed():
    for registry in (SEARCH_SPACES, MODELS, DATASETS):
        with pytest.raises(TypeError):
            registry["mine"] = None


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_file_names_things_that_exist(file):
    text = file.read_text(encoding="utf-8")
    study = tomllib.loads(text)
    assert text.startswith("# "), "a study file begins with its question"
    assert study["name"] == study["space"] == file.stem
    assert study["model"] == MODELS[study["space"]]
    assert study["data"] in DATASETS.values()
    values = SEARCH_SPACES[study["space"]].parameters[study["batch_size"]].grid()
    assert all(type(value) is int for value in values)
    assert study["objective"]["direction"] == ("maximize" if "accuracy" in study["objective"]["metric"] else "minimize")
    assert study["budget"]


def test_looking_at_the_registries_imports_neither_keras_nor_optuna():
    program = (
        "import sys, bandstand_spaces, bandstand_workers.models, bandstand_workers.datasets;"
        "bandstand_spaces.SEARCH_SPACES['digits_mlp'].to_toml();"
        "sys.exit(', '.join({'keras', 'tensorflow', 'optuna', 'sklearn', 'ray'} & set(sys.modules)) or 0)"
    )
    root = Path(bandstand_spaces.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_all_is_complete_and_every_name_in_it_exists():
    for name in bandstand_spaces.__all__:
        assert hasattr(bandstand_spaces, name)
    assert len(set(bandstand_spaces.__all__)) == len(bandstand_spaces.__all__)
