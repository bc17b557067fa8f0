"""Pages are run by the convention of tests/docs/README.md: shown on small made-up pages."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.docs.harness.blocks import BlockError, blocks_of
from tests.docs.harness.page_run import run_page


def fence(language: str, code: str, *comments: str) -> str:
    marks = "".join(f"<!-- {comment} -->\n" for comment in comments)
    return f"{marks}```{language}\n{code}\n```\n\n"


def page_of(*parts: str) -> str:
    return "# A page\n\n" + "".join(parts)


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(folder: Path, environment: dict[str, str], *parts: str, slow: bool = False) -> Path:
    """Run a page; returns the folder that it ran in."""
    run_page(page_of(*parts), "page.md", folder, environment, slow=slow)
    return folder / "page"


def refusal(folder: Path, environment: dict[str, str], *parts: str) -> str:
    with pytest.raises(BlockError) as refused:
        run_page(page_of(*parts), "page.md", folder, environment)
    return str(refused.value)


def test_a_command_that_fails_is_told_with_its_page_line_block_and_output(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    said = refusal(tmp_path, environment, fence("console", "echo before\nls nowhere\necho after"))
    assert said.startswith("page.md:4: the exit code must be 0; it is 2")
    assert "```console\necho before\nls nowhere\necho after\n```" in said
    assert "Output:\nbefore\n" in said
    assert "\nafter" not in said.split("Output:")[1]


def test_python_that_raises_is_told_with_the_lines_of_the_page(tmp_path: Path, environment: dict[str, str]) -> None:
    said = refusal(
        tmp_path, environment, fence("python", "def f():\n    return 1 / 0"), "Text.\n\n", fence("python", "f()")
    )
    assert said.startswith("page.md:11: the Python block fails")
    assert 'File "<page.md:4>", line 5, in f\n    return 1 / 0' in said
    assert "ZeroDivisionError" in said


def test_python_blocks_share_one_namespace_and_the_folder_of_the_page(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = run(
        tmp_path,
        environment,
        fence("python", "# train.py\nUNITS = 3"),
        fence("python", "from train import UNITS\nx = UNITS"),
        fence("python", "from pathlib import Path\nPath('x.txt').write_text(f'{x} {__name__}')"),
    )
    assert (folder / "x.txt").read_text() == "3 __main__"


def test_a_block_with_a_files_name_is_written_and_not_run(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = run(
        tmp_path,
        environment,
        fence("python", "# mine/train.py\n1 / 0"),
        fence("toml", "# study.toml\nname = 'x'"),
        fence("csv", "# wine.csv\na,b\n1,2"),
    )
    assert (folder / "mine/train.py").read_text() == "# mine/train.py\n1 / 0\n"
    assert (folder / "study.toml").read_text() == "# study.toml\nname = 'x'\n"
    assert (folder / "wine.csv").read_text() == "a,b\n1,2\n"


def test_a_comment_that_names_no_plain_file_is_a_comment(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = run(tmp_path, environment, fence("python", "# ../train.py\nopen('ran', 'w')"))
    assert (folder / "ran").exists()
    assert not (folder.parent / "train.py").exists()


def test_variables_and_folder_of_a_console_carry_over(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = run(
        tmp_path,
        environment,
        fence("console", "mkdir inner\ncd inner\nexport NAME='a b'"),
        fence("bash", 'echo "$NAME" > name.txt'),
    )
    assert (folder / "inner/name.txt").read_text() == "a b\n"


@pytest.mark.parametrize(
    "fragment",
    ["sampler = 'pbt'\nmax_epochs = 40", "[resources]\ncpus = 2", "space.units = { type = 'int', low = 1, high = 2 }"],
)
def test_settings_that_are_valid_in_the_usual_study_pass(
    fragment: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    run(tmp_path, environment, fence("toml", fragment))


def test_settings_that_are_not_valid_in_the_study_fail(tmp_path: Path, environment: dict[str, str]) -> None:
    said = refusal(tmp_path, environment, fence("toml", "sampler = 'tp'"))
    assert said.startswith("page.md:4: these settings are not valid in the page's study: the study: sampler must be")
    assert "max_epochs must be" in refusal(make_folder(tmp_path), environment, fence("toml", "max_epochs = 0"))


def make_folder(folder: Path) -> Path:
    (folder / "second").mkdir()
    return folder / "second"


def test_settings_change_the_last_study_of_the_page(tmp_path: Path, environment: dict[str, str]) -> None:
    study = (
        '# study.toml\nname = "mine"\nmodel = "train:build"\ndata = "train:load"\nmax_epochs = 4\npruner = "median"\n'
        '[budget]\ntrials = 3\n[space]\nwidth = { type = "int", low = 1, high = 3 }'
    )
    run(tmp_path, environment, fence("toml", study), fence("toml", 'batch_size = "width"'))
    other = make_folder(tmp_path)
    assert "batch_size" in refusal(other, environment, fence("toml", study), fence("toml", 'batch_size = "units"'))


def test_a_block_that_needs_docker_runs_unless_it_is_marked(tmp_path: Path, environment: dict[str, str]) -> None:
    run(tmp_path, environment, fence("console", "touch ran\nexit 1", "not run: needs Docker"))
    assert not (tmp_path / "page/ran").exists()
    other = make_folder(tmp_path)
    refusal(other, environment, fence("console", "touch ran\nexit 1"))
    assert (other / "page/ran").exists()


@pytest.mark.parametrize("comment", ["not run: I do not like it", "not run", "exit code: two", "skip", "replaces: a"])
def test_an_unknown_comment_before_a_block_fails(comment: str, tmp_path: Path, environment: dict[str, str]) -> None:
    said = refusal(tmp_path, environment, fence("console", "true", comment))
    assert "a comment before a block must be one of" in said
    assert repr(comment) in said


def test_a_comment_elsewhere_says_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = run(tmp_path, environment, "<!-- made by hand -->\n\n", fence("console", "touch ran"))
    assert (folder / "ran").exists()


def test_an_expected_exit_code_passes_and_another_fails(tmp_path: Path, environment: dict[str, str]) -> None:
    run(tmp_path, environment, fence("console", "exit 2", "exit code: 2"))
    other = make_folder(tmp_path)
    assert "must be 2; it is 0" in refusal(other, environment, fence("console", "true", "exit code: 2"))


def test_slow_blocks_run_in_the_slow_suite_only(tmp_path: Path, environment: dict[str, str]) -> None:
    parts = fence("console", "touch slow", "slow"), fence("console", "touch quick")
    assert [path.name for path in run(tmp_path, environment, *parts).iterdir()] == ["quick"]
    folder = run(make_folder(tmp_path), environment, *parts, slow=True)
    assert sorted(path.name for path in folder.iterdir()) == ["quick", "slow"]


def test_a_test_may_replace_what_the_page_says(tmp_path: Path, environment: dict[str, str]) -> None:
    block = fence("console", "echo 500 at example > said", "replaces: 500 => 5", "replaces: at example => here")
    assert (run(tmp_path, environment, block) / "said").read_text() == "5 here\n"
    said = refusal(make_folder(tmp_path), environment, fence("console", "echo 500", "replaces: 600 => 5"))
    assert "there is no '600' to be replaced" in said


def test_a_server_in_the_background_is_waited_for_and_stopped_at_the_pages_end(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    server = "sleep 0.5\necho $BASHPID > server.pid\necho now ready\nsleep 600"
    folder = run(
        tmp_path,
        environment,
        fence("console", server, "runs in the background until: ready"),
        fence("console", "kill -0 $(cat server.pid)"),
    )
    pid = int((folder / "server.pid").read_text())
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_ends_before_it_is_ready_fails(tmp_path: Path, environment: dict[str, str]) -> None:
    block = fence("console", "echo broken", "runs in the background until: ready")
    said = refusal(tmp_path, environment, block)
    assert "no line has 'ready'" in said
    assert "Output:\nbroken" in said


def test_a_prompt_in_a_console_block_fails(tmp_path: Path, environment: dict[str, str]) -> None:
    assert "without a prompt" in refusal(tmp_path, environment, fence("console", "$ ls"))


@pytest.mark.parametrize("language", ["", "sh", "dockerfile", "pycon"])
def test_a_language_outside_the_convention_needs_a_reason(
    language: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    said = refusal(tmp_path, environment, fence(language, "x"))
    assert f"got {language or 'no language'}" in said
    run(make_folder(tmp_path), environment, fence(language, "x", "not run: needs Docker"))


@pytest.mark.parametrize("language", ["text", "json", "csv", "yaml"])
def test_output_and_data_are_for_readers(language: str, tmp_path: Path, environment: dict[str, str]) -> None:
    run(tmp_path, environment, fence(language, "{ anything"))


def test_blocks_are_found_in_lists_and_know_their_lines() -> None:
    text = "# A\n\n1. First:\n\n   <!-- exit code: 1 -->\n   ```console\n   false\n   ```\n\n```toml\na = 1\n```\n"
    first, second = blocks_of(text, "page.md")
    assert (first.text, first.line, first.marks.exit_code) == ("false\n", 7, 1)
    assert (second.text, second.line) == ("a = 1\n", 11)
    assert re.fullmatch(r"page\.md:7", first.place)
