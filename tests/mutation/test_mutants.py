"""Changes are made, are put into the function that runs, and are taken for what they are."""

from __future__ import annotations

import bandstand.search.endings
from tests.mutation.__main__ import TARGETS, TESTS, modules_of
from tests.mutation.mutants import apply, function_of, list_mutants


def test_a_change_is_put_into_the_function_that_runs() -> None:
    module = bandstand.search.endings
    (mutant,) = [
        one
        for one in list_mutants(module)
        if one.name.endswith("Endings.end_unjudged: if trial.best_epoch -> if False")
    ]
    function = function_of(mutant.module, mutant.function)
    assert function is module.Endings.end_unjudged
    before = function.__code__
    try:
        assert apply(mutant)
        assert function.__code__ is not before
        assert "best_epoch" in before.co_names
        assert "best_epoch" not in function.__code__.co_names
    finally:
        function.__code__ = before


def test_every_function_of_the_core_has_changes_that_can_be_found() -> None:
    mutants = [mutant for target in TARGETS for module in modules_of(target) for mutant in list_mutants(module)]
    assert len(mutants) > 1000
    assert all(function_of(mutant.module, mutant.function) for mutant in mutants)
    assert TESTS
