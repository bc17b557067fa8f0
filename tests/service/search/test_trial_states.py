"""Trial states are members of one enum; their text stands in it and nowhere else."""

import ast
import json
from pathlib import Path

import pytest

from bandstand.trials import events
from bandstand.trials.events import FINAL_STATES, RESULT_STATES, TrialState

ROOT = Path(__file__).parents[3]
OWN_WORDS = {TrialState.COMPLETE, TrialState.PRUNED}
"""Words that nothing but a trial's state is called by; studies and submissions, too, run, wait and fail."""


@pytest.mark.parametrize("folder", ["service/bandstand", "workers/bandstand_workers"])
def test_no_module_but_that_of_the_enum_spells_a_trial_s_state_as_a_string(folder):
    spelled = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.value!r}"
        for file in (ROOT / folder).rglob("*.py")
        if file != Path(events.__file__)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in OWN_WORDS
    ]
    assert spelled == [], "say TrialState.COMPLETE or TrialState.PRUNED"


def test_states_are_stored_and_sent_as_the_words_that_they_always_were():
    words = ["waiting", "running", "paused", "complete", "pruned", "failed"]
    assert json.loads(json.dumps(list(TrialState))) == words == [f"{state}" for state in TrialState]
    assert [TrialState(word) for word in words] == list(TrialState)


def test_a_trial_that_has_ended_without_failing_is_a_result():
    assert FINAL_STATES == ("complete", "pruned", "failed")
    assert RESULT_STATES == ("complete", "pruned")
    assert all(state.is_resting for state in FINAL_STATES)
