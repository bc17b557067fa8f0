"""What is installed: the three packages with their data files, and nothing else."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search_spaces/bandstand_spaces", "service/bandstand", "workers/bandstand_workers")
LARGEST_SOURCE_BYTES = 200_000


LEFT_OVER = (
    ".venv/pyvenv.cfg", "build/wheel/x.whl", "dist/x.whl", "service/bandstand/__pycache__/x.pyc", "notes.txt",
    "workers/bandstand_workers.egg-info/PKG-INFO", "service/bandstand/.hypothesis/x", "tests/large.npz",
)  # fmt: skip
"""What may lie about in a checkout."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a source distribution of a used checkout holds."""
    checkout, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("source")
    for name in (
        ".gitignore",
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
    ):
        shutil.copy(ROOT / name, checkout)
    for name in ("search_spaces", "service", "workers"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in LEFT_OVER:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    build(checkout, "sdist", folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made of the source distribution, as installers make it, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build(source, "wheel", folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def build(project: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def files_in(folder: Path) -> set[str]:
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_a_wheel_holds_the_three_packages_and_nothing_beside_them(wheel: Path) -> None:
    names = {path.name for path in wheel.iterdir()}
    (metadata,) = (name for name in names if name.endswith(".dist-info"))
    assert names - {metadata} == {"bandstand", "bandstand_workers", "bandstand_spaces"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_in_a_wheel_has_every_file_of_the_checkout(wheel: Path, package: str) -> None:
    here = files_in(ROOT / package)
    assert files_in(wheel / Path(package).name) == here
    assert "py.typed" in here


def test_a_wheel_has_the_data_files(wheel: Path) -> None:
    for pattern in (
        "bandstand_spaces/studies/*.toml", "bandstand/store/migrations/versions/0*.py",
        "bandstand/api/pages/templates/*.html", "bandstand/api/pages/static/*.css", "bandstand/report/forms/page.*s",
    ):  # fmt: skip
        assert list(wheel.glob(pattern)), pattern


def test_a_source_distribution_holds_the_packages_and_no_tests(source: Path) -> None:
    assert {path.name for path in source.iterdir()} == {
        ".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "constraints.txt",
        "pyproject.toml", "search_spaces", "service", "workers",
    }  # fmt: skip
    large = {path.name for path in source.rglob("*") if path.is_file() and path.stat().st_size > LARGEST_SOURCE_BYTES}
    assert large == set()


def test_a_source_distribution_holds_nothing_that_lies_about(source: Path) -> None:
    assert [name for name in LEFT_OVER if (source / name).exists()] == []


def description_in(wheel: Path) -> str:
    """What a package index shows."""
    metadata = email.message_from_string(next(wheel.glob("*.dist-info/METADATA")).read_text())
    assert metadata["Description-Content-Type"] == "text/markdown"
    return str(metadata.get_payload())


def links_in(text: str) -> list[str]:
    """Where the links and pictures of a Markdown text lead, those of its code blocks left out."""
    return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def test_the_description_is_the_readme_without_relative_links(wheel: Path) -> None:
    description, readme = description_in(wheel), (ROOT / "README.md").read_text()
    assert [link for link in links_in(description) if not link.startswith("https://")] == []
    assert "<!--" not in description
    assert len([link for link in links_in(readme) if not link.startswith("https://")]) > 5
    code = re.findall(r"^```.*?^```", readme, re.MULTILINE | re.DOTALL)
    assert len(code) > 5
    assert all(block in description for block in code)
    headings = re.findall(r"^#+ .+$", readme, re.MULTILINE)
    assert all(heading in description for heading in headings)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("See [how to](docs/x.md#the-part), then [on](#below).", "See how to, then on."),
        ("![Curves [%] of `a`](docs/x.svg)\n", "Curves [%] of `a`\n"),
        ("[`from_tune`](docs/x.md) and [a [b] c](LICENSE)", "`from_tune` and a [b] c"),
        ("[![Curves](docs/x.svg)](docs/x.md)", "Curves"),
        ("[two\nlines](docs/x.md)", "two\nlines"),
        (
            "[elsewhere](https://keras.io/api) [mail](mailto:x@example.org)",
            "[elsewhere](https://keras.io/api) [mail](mailto:x@example.org)",
        ),
        ("<!-- not run: needs Docker -->\n```bash\n", "```bash\n"),
        ('models["a"](x) and rates[0](epoch)', 'models["a"](x) and rates[0](epoch)'),
    ],
)
def test_of_a_relative_link_the_text_stays(written: str, shown: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        written = re.sub(rule["pattern"], rule["replacement"], written)
    assert written == shown


def test_what_a_wheel_holds_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Its studies, migrations, templates and entry points are found beside it."""
    script = f"""
import bandstand, bandstand_spaces, bandstand_workers.__main__ as workers
from bandstand.api.pages.rendering import render
from bandstand.store import connecting
from bandstand.study.find_study import built_in_studies, find_study
for module in (bandstand, bandstand_spaces, workers):
    assert module.__file__.startswith({str(wheel)!r}), module.__file__
assert len(built_in_studies()) >= 4
assert find_study("digits_mlp").spec.name == "digits_mlp"
assert connecting.newest_revision() >= "0008"
"""
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
