"""Population-based training on a population small enough to follow by hand."""

import numpy as np
import pytest

from bandstand.strategies.policies.explore import Change, explored, usually_changed
from bandstand.trials.broken_study import HOPELESS
from bandstand.trials.events import TrialState
from bandstand_spaces import Categorical, Float, Int, SearchSpace

SPACE = SearchSpace({"rate": Float(1e-4, 1.0, log=True), "units": Int(1, 8), "batch": Categorical([16, 32, 64])})


def population(desk_with, seed=0, **options):
    settings = {"population": 5, "interval": 2, "explore": ["rate"]} | options
    return desk_with(
        sampler="pbt", pruner="", sampler_options=settings, space=SPACE, max_epochs=8, budget={"epochs": 160}, seed=seed
    )


def test_the_worst_of_five_goes_on_from_the_best(desk_with):
    desk = population(desk_with)
    for value in (0.5, 0.2, 0.9, 0.3, 0.4):
        desk.train_interval(desk.start().trial, value)
    assert [desk.start().trial for _ in range(2)] == [0, 1]  # neither is among the worst fifth
    child = desk.start()
    assert (child.trial, child.from_epoch, child.checkpoint_of, child.until_epoch, child.first_epoch) == (5, 2, 1, 4, 3)
    assert (desk.trials[2].state, desk.trials[2].reason) == (
        TrialState.PRUNED,
        "epoch 2: place 5 of 5, replaced by a child of trial 1",
    )
    parent = desk.trials[1].params
    assert {name: child.params[name] for name in ("units", "batch")} == {
        name: parent[name] for name in ("units", "batch")
    }
    assert child.params["rate"] != parent["rate"]
    assert desk.trials[5].origin.startswith("replaces trial 2: continues trial 1, rate ")
    # Its epochs go on after its parent's, and so does the budget.
    desk.train_interval(5, 0.1)
    assert (desk.trials[5].epochs, desk.search.history.ledger.epochs) == (4, 12)
    assert desk.search.history.value_of(desk.trials[5]) == 0.1


def test_the_member_that_trained_least_comes_first_and_all_end_at_max_epochs(desk_with):
    desk = population(desk_with, population=2, fraction=0.5)
    order = []
    for _ in range(8):
        trial = desk.start().trial
        order.append((trial, desk.trials[trial].epochs))
        desk.train_interval(trial, 0.5 + trial / 10)
    # Trial 1 is always the worse of two: its children come from trial 0's latest checkpoint.
    assert order[:4] == [(0, 0), (1, 0), (0, 2), (2, 4)]
    assert all(trial.epochs <= 8 for trial in desk.trials)


def test_a_parent_s_checkpoint_stays_until_its_child_has_one_of_its_own(desk_with):
    desk = population(desk_with)
    for value in (0.5, 0.2, 0.9, 0.3, 0.4):
        desk.train_interval(desk.start().trial, value)
    desk.start(3)
    desk.train_interval(1, 0.2)
    assert desk.search.models.needed_checkpoints(1) == {2, 4}  # the child was given out with the one at epoch 2
    assert desk.search.models.needed_checkpoints(2) == {2}  # of those that have ended, the best so far
    desk.train_interval(5, 0.3)
    assert desk.search.models.needed_checkpoints(1) == {4}


def test_a_member_that_failed_is_replaced(desk_with):
    desk = population(desk_with)
    for value in (0.5, 0.2, 0.9, 0.3):
        desk.train_interval(desk.start().trial, value)
    desk.start()
    desk.report(4, 1, float("nan"))
    desk.finish(4)
    child = desk.start()
    assert (child.trial, desk.trials[5].parent, desk.trials[5].bracket) == (5, 1, 4)


def test_a_tournament_s_winner_is_gone_on_from(desk_with):
    desk = population(desk_with, population=2, exploit="tournament")
    for value in (0.5, 0.9):
        desk.train_interval(desk.start().trial, value)
    assert [desk.start().trial, desk.start().trial] == [0, 2]
    assert desk.trials[2].parent == 0


def test_a_child_that_cannot_have_its_parent_s_weights_ends_the_study_as_all_others_would_fail_too(desk_with):
    desk = population(desk_with, explore=["units"])
    for value in (0.5, 0.2, 0.9, 0.3, 0.4):
        desk.train_interval(desk.start().trial, value)
    desk.start(3)
    desk.fail(5, kind=HOPELESS, message="a child must have the shape of its parent's model")
    ended = desk.search.history.ended
    assert ended.failed
    assert ended.reason == "a child must have the shape of its parent's model (changed here: units)"
    assert desk.search.next() is None


def test_paused_members_are_complete_when_the_budget_ends(desk_with):
    desk = desk_with(
        sampler="pbt", pruner="", sampler_options={"population": 2, "interval": 2}, space=SPACE, max_epochs=8,
        budget={"epochs": 4},
    )  # fmt: skip
    for value in (0.5, 0.6):
        desk.train_interval(desk.start().trial, value)
    assert desk.search.next() is None
    desk.search.conclude()
    assert [(trial.state, trial.reason) for trial in desk.trials] == [(TrialState.COMPLETE, "budget")] * 2
    assert desk.search.history.best.number == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"population": 1}, "option population of sampler pbt must be greater than or equal to 2; got 1"),
        ({"interval": 9}, "option interval of sampler pbt must be at most max_epochs; got 9 with max_epochs 8"),
        (
            {"factors": [1.1, 1.2]},
            r"option factors of sampler pbt must be one below and one above 1, such as \[0.8, 1.2\]; got \[1.1, 1.2\]",
        ),
        (
            {"factors": [0.8, 1.2], "rules": {"rate": {"factor": 0.8}}},
            r"option rules.rate of sampler pbt must be a table of factors and resample; got {'factor': 0.8}",
        ),
        (
            {"rules": {"rate": {"factors": [0.8, 0.9]}}},
            r"option rules.rate.factors of sampler pbt must be one below and one above 1, such as \[0.8, 1.2\]",
        ),
        (
            {"rules": {"units": {"resample": 0.5}}},
            "option rules of sampler pbt may name parameters that change, rate; got 'units': name it in option "
            "explore, too, or leave it out",
        ),
        ({"exploit": "luck"}, "option exploit of sampler pbt must be 'truncation' or 'tournament'; got 'luck'"),
        (
            {"explore": ["size"]},
            "option explore of sampler pbt must name parameters of the space: rate, units, batch; got 'size'",
        ),
    ],
)
def test_bad_options_are_refused_with_the_rule(desk_with, options, line):
    with pytest.raises(ValueError, match=line):
        population(desk_with, **options)


def test_a_pruner_beside_it_is_refused(desk_with):
    with pytest.raises(ValueError, match="pruner must be left out with sampler pbt, which decides by itself"):
        desk_with(sampler="pbt", pruner="asha", max_epochs=8)


def test_floats_and_the_batch_size_change_where_nothing_is_said():
    assert usually_changed(SPACE, "batch") == ("rate", "batch")
    assert usually_changed(SPACE, 32) == ("rate",)


def test_a_perturbed_number_is_multiplied_a_count_moves_a_step_and_an_ordered_choice_to_its_neighbour():
    params = {"rate": 0.01, "units": 3, "batch": 32}
    seen = {name: set() for name in params}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        changed = explored(params, SPACE, dict.fromkeys(params, Change((0.8, 1.2), 0.0)), rng)
        for name, value in changed.items():
            seen[name].add(value)
    assert seen == {"rate": {0.008, 0.012}, "units": {2, 4}, "batch": {16, 64}}


def test_what_is_perturbed_at_its_border_stays_in_the_space():
    edge = {"rate": 1.0, "units": 8, "batch": 64}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        SPACE.check(explored(edge, SPACE, dict.fromkeys(edge, Change((0.8, 1.2), 0.5)), rng))


def test_where_a_range_holds_0_a_number_moves_instead_so_that_it_cannot_get_stuck():
    space = SearchSpace({"dropout": Float(0.0, 0.5)})
    change = {"dropout": Change((0.8, 1.2), 0.0)}
    values = {explored({"dropout": 0.0}, space, change, np.random.default_rng(seed))["dropout"] for seed in range(20)}
    assert sorted(values) == pytest.approx([0.0, 0.05])


def test_a_parameter_is_drawn_anew_as_often_as_resample_says():
    change = {"rate": Change((0.8, 1.2), 0.25)}
    draws = [explored({"rate": 0.01}, SPACE, change, np.random.default_rng(seed))["rate"] for seed in range(400)]
    anew = sum(rate not in (0.008, 0.012) for rate in draws)
    assert 70 < anew < 130  # 100 and three and a half standard deviations
    assert min(draws) < 1e-3
    assert max(draws) > 0.1


def test_a_parameter_may_have_rules_of_its_own(desk_with):
    rules = {"rate": {"factors": [0.5, 2.0]}, "units": {"resample": 1.0}}
    options = {"explore": ["rate", "units", "batch"], "resample": 0.0, "rules": rules, "population": 20}
    desk = population(desk_with, **options)
    for number in range(20):
        desk.train_interval(desk.start().trial, number / 20)
    for _ in range(20):
        desk.start()  # sixteen train on, four give way
    children = desk.trials[20:]
    assert len(children) == 4
    for child in children:
        parent = desk.trials[child.parent].params
        assert child.params["rate"] in (0.5 * parent["rate"], min(2.0 * parent["rate"], 1.0))
        assert child.params["batch"] != 32 or parent["batch"] != 32  # perturbed: a neighbour
    assert any(abs(child.params["units"] - desk.trials[child.parent].params["units"]) > 1 for child in children)


def test_any_other_member_may_be_met_in_a_tournament(desk_with):
    """By truncation only the best of five would be gone on from, and only by the worst."""
    parents, gave_way = set(), set()
    for seed in range(40):
        desk = population(desk_with, exploit="tournament", seed=seed)
        for value in (0.1, 0.2, 0.3, 0.4, 0.5):
            desk.train_interval(desk.start().trial, value)
        while len(desk.trials) < 6:
            desk.start()
        child = desk.trials[5]
        assert child.parent < child.bracket  # the other one was better
        parents.add(child.parent)
        gave_way.add(child.bracket)
    assert parents == {0, 1, 2, 3}
    assert gave_way == {1, 2, 3, 4}
