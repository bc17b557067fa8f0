"""Patience, on curves small enough to check by hand."""

import pytest

from bandstand.trials.events import Action, TrialState

GO, STOP = Action.CONTINUE, Action.STOP


@pytest.mark.parametrize(
    ("options", "values", "last", "epochs"),
    [
        ({"patience": 2}, [0.5, 0.6, 0.7], STOP, 3),
        ({"patience": 2}, [0.5, 0.5, 0.5], STOP, 3),  # as good as before is no improvement
        ({"patience": 2}, [0.5, 0.6, 0.4, 0.7, 0.8], STOP, 5),
        ({"patience": 2}, [0.5, 0.6, 0.4, 0.7], GO, 4),  # it was better in one of the last two
        ({"patience": 1}, [0.5, 0.4, 0.3, 0.3], STOP, 4),
        ({"patience": 3}, [0.5, 0.6, 0.6], GO, 3),
        ({"patience": 2, "min_delta": 0.25}, [1.0, 0.9, 0.8], STOP, 3),  # better, but by 0.2 only
        ({"patience": 2, "min_delta": 0.25}, [1.0, 0.9, 0.75], GO, 3),
        ({"patience": 2, "min_delta": 0.25}, [1.0, 0.75, 0.75, 0.5, 0.5], GO, 5),
        ({"patience": 1, "min_epochs": 4}, [0.5, 0.6, 0.7, 0.8], STOP, 4),
    ],
)
@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_trial_stops_when_its_last_epochs_are_no_better_than_those_before(
    desk_with, options, values, last, epochs, direction, sign
):
    desk = desk_with(
        pruner="patience", pruner_options=options, max_epochs=9, budget={"trials": 9},
        objective={"direction": direction},
    )  # fmt: skip
    trial, action = desk.train([sign * value for value in values])
    assert (action, desk.trials[trial].epochs) == (last, epochs)
    assert desk.trials[trial].state is (TrialState.PRUNED if last is STOP else TrialState.RUNNING)


def test_the_reason_names_both_values_as_the_user_measures_them(desk_with):
    desk = desk_with(
        pruner="patience", pruner_options={"patience": 2}, max_epochs=9, objective={"direction": "maximize"}
    )
    desk.train([0.9, 0.7, 0.8])
    assert desk.trials[0].reason == "best 0.8 in the last 2 epochs, 0.9 before"


def test_other_trials_do_not_matter(desk_with):
    desk = desk_with(pruner="patience", pruner_options={"patience": 1}, max_epochs=3, budget={"trials": 9})
    desk.train([0.3, 0.2, 0.1])
    assert desk.train([9.0, 8.0])[1] is GO


def test_nobody_asks_before_there_is_an_epoch_to_compare_with(desk_with):
    desk = desk_with(pruner="patience", pruner_options={"patience": 3}, max_epochs=9)
    assert desk.start().until_epoch == 4


def test_an_ask_that_the_budget_brought_forward_is_not_judged(desk_with):
    desk = desk_with(pruner="patience", pruner_options={"patience": 3}, max_epochs=9, budget={"epochs": 2})
    desk.train([0.1, 0.2])
    assert (desk.trials[0].state, desk.trials[0].reason) == (TrialState.COMPLETE, "budget")


@pytest.mark.parametrize(("patience", "words"), [(7, []), (8, ["9 on"]), (20, ["21 on"])])
def test_a_study_hears_when_its_patience_never_ends(desk_with, patience, words):
    desk = desk_with(pruner="patience", pruner_options={"patience": patience}, max_epochs=9)
    desk.search.begin()
    messages = [event.message for event in desk.search.take_events()]
    assert len(messages) == len(words)
    assert all(word in message for word, message in zip(words, messages, strict=True))
    assert desk.start().until_epoch == min(patience + 1, 9)
