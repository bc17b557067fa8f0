"""Each silent change of a library, made on purpose, turns its canary red; without the change the canary is green."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.internals.changes import CHANGES
from tests.internals.processes import ROOT

BUILT = "test_a_plain_model_is_built_from_shapes_alone_and_trained_by_compiled_epochs"
NUMBERS = "test_a_trial_after_others_has_the_names_and_random_numbers_of_a_fresh_process"
SPACE = "test_an_optimizer_proposes_nothing_but_points_of_the_space_that_it_was_given"
CANARIES = {
    "symbolic_build_is_renamed": f"test_keras_parts.py::{BUILT}[jax]",
    "symbolic_build_takes_other_arguments": f"test_keras_parts.py::{BUILT}[tensorflow]",
    "callbacks_get_hooks_of_their_own": (
        "test_keras_parts.py::test_a_callback_without_hooks_for_batches_is_seen_to_have_none"
    ),
    "callbacks_keep_their_model_elsewhere": (
        "test_keras_parts.py::test_a_callback_holds_its_model_in_model_and_nowhere_else"
    ),
    "layer_names_are_counted_elsewhere": f"test_keras_parts.py::{NUMBERS}[tensorflow]",
    "keras_keeps_its_seed_elsewhere": f"test_keras_parts.py::{NUMBERS}[tensorflow]",
    "tensorflow_keeps_its_seed_elsewhere": (
        "test_tensorflow_parts.py::test_a_seed_gives_stateful_operations_the_numbers_that_a_fresh_process_has"
    ),
    "traced_gradients_have_other_names": (
        "test_tensorflow_parts.py::test_what_a_traced_gradient_holds_is_let_go_when_custom_gradients_are_forgotten"
    ),
    "ray_sends_requests_otherwise": (
        "test_ray_parts.py::test_every_request_to_a_job_server_that_hangs_ends_in_time[look up]"
    ),
    "ray_words_its_errors_otherwise": (
        "test_ray_parts.py::test_a_failing_job_server_is_away_and_one_that_says_no_refuses"
    ),
    "ray_logs_under_other_names": (
        "test_ray_parts.py::test_the_job_client_keeps_its_uploads_to_itself_only_where_it_is_told_to[True]"
    ),
    "skopt_keeps_its_space_elsewhere": f"test_skopt_internals.py::{SPACE}",
    "skopt_draws_candidates_otherwise": f"test_skopt_internals.py::{SPACE}",
    "typer_raises_usage_errors_of_another_kind": (
        "test_typer_internals.py::test_a_command_line_that_cannot_be_understood_is_one_line_on_standard_error"
    ),
}
"""Change -> the canary that is to die of it."""


def test_every_change_has_a_canary_that_is_to_die_of_it() -> None:
    assert set(CANARIES) == set(CHANGES)


@pytest.mark.slow
@pytest.mark.parametrize("change", CANARIES)
def test_a_canary_dies_of_the_change_and_says_what_to_do(change: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.internals.changes",
        f"--basetemp={tmp_path / 'inner'}",
        f"tests/internals/{CANARIES[change]}",
    ]  # fmt: skip
    environment = os.environ | {"BANDSTAND_TEST_CHANGE": change, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, cwd=ROOT)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-1000:]
    assert re.search(r"\d+ failed", done.stdout)
    assert "error" not in done.stdout.splitlines()[-1]
