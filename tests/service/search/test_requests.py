"""What users ask of a study: it may spend more, and try params of theirs; a rebuilt Search goes on alike."""

import numpy as np
import pytest

from bandstand.problem.budget import Budget
from bandstand.strategies import make_strategy
from bandstand.trials.events import Action, Enqueued, Extended, Proposed, Reopened, TrialState
from tests.service.search.harness.endings import check_ending
from tests.service.search.harness.pairs import PAIRS, settings_for

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_study_that_is_asked_for_more_on_the_way_and_after_its_end_goes_on_and_a_restored_one_alike(
    spec_with, cluster_of, lockstep_of, account_of, sampler, pruner, workers
):
    spec = spec_with(**settings_for(sampler, pruner))
    rng = np.random.default_rng(workers)
    trouble = {"lose_worker": 0.03, "blame": 0.3, "diverge": 0.02, "stop_early": 0.03}
    cluster = cluster_of(spec, workers=workers, seed=workers, search=lockstep_of(spec), checkpoint_every=2, **trouble)
    takes_trials = not make_strategy(spec).closed
    asked = iter(range(1, 1000))
    enqueued = []

    def ask_and_split(cluster):
        if takes_trials and len(enqueued) < 4 and rng.random() < 0.05:
            params = spec.space.sample(rng)
            number = next(asked)
            assert cluster.search.requests.enqueue(number, params, "ada") is None
            enqueued.append((number, dict(params)))
        if rng.random() < 0.1:
            cluster.search.split()

    cluster.run(after_each_step=ask_and_split)
    assert cluster.search.requests.extend(next(asked), Budget(epochs=110)) is None
    cluster.run(after_each_step=ask_and_split)
    account = account_of(spec, cluster.stored)
    check_ending(cluster, account)
    proposed = [(event.request, dict(event.params)) for event in cluster.stored if isinstance(event, Proposed)]
    history = cluster.search.history
    tried = [pair for pair in proposed if pair[0] is not None]
    assert tried == enqueued[: len(tried)]
    assert len(tried) + len(history.enqueued) == len(enqueued)
    assert takes_trials == bool(tried)
    if sampler not in ("replay", "grid"):
        assert account.epochs > 70
        assert any(isinstance(event, Reopened) for event in cluster.stored)


def test_a_paused_trial_is_not_given_up_because_of_a_bound_that_an_extension_has_lifted(desk_with):
    def retired_after_two_rungs(extend):
        desk = desk_with(pruner="asha-promote", budget={"trials": 3})
        if extend:
            assert desk.search.requests.extend(1, Budget(trials=30)) is None
        for value in (0.1, 0.5):
            desk.train([value])
            trial = desk.trials[-1].number
            if desk.trials[trial].action is Action.PAUSE:
                desk.checkpoint(trial, 1)
                desk.pause(trial)
        desk.start()
        return [trial.state for trial in desk.trials[:2]]

    assert TrialState.PRUNED in retired_after_two_rungs(extend=False)
    assert TrialState.PRUNED not in retired_after_two_rungs(extend=True)


def test_a_request_counts_once_and_one_that_is_none_is_refused_in_a_sentence(desk_with):
    desk = desk_with(budget={"epochs": 10})
    assert desk.search.requests.extend(1, Budget(epochs=20)) is None
    assert desk.search.requests.extend(1, Budget(epochs=20)) is None
    assert "epochs is 20 now, got 15" in desk.search.requests.extend(2, Budget(epochs=15))
    assert "momentum" in desk.search.requests.enqueue(3, {"rate": 0.5, "optimizer": "adam", "momentum": 1})
    params = {"rate": 0.5, "optimizer": "adam"}
    assert desk.search.requests.enqueue(4, params) is desk.search.requests.enqueue(4, params) is None
    assert [type(event) for event in desk.search.take_events()] == [Extended, Enqueued]
    assert len(desk.search.history.enqueued) == 1
    assert desk.search.history.requests == {1, 4}


def test_enqueued_params_come_before_what_the_strategy_wants_and_after_trials_that_wait(desk_with):
    desk = desk_with()
    first = desk.start()
    desk.lose(0)
    params = {"rate": 0.5, "optimizer": "adam"}
    desk.search.requests.enqueue(1, params, "ada")
    assert desk.start().trial == first.trial
    assert desk.start().params == params
    assert (desk.trials[1].origin, desk.trials[1].parent) == ("enqueued by ada", None)
    assert desk.start().params != params


def test_what_is_enqueued_when_the_budget_is_used_waits_for_an_extension(desk_with):
    desk = desk_with(max_epochs=2, budget={"trials": 1})
    desk.train([0.5, 0.4])
    assert desk.search.next() is None
    assert desk.search.conclude().reason == "the budget is used up"
    params = {"rate": 0.5, "optimizer": "adam"}
    assert desk.search.requests.enqueue(1, params) is None
    assert desk.search.history.ended is not None
    assert desk.search.requests.extend(2, Budget(trials=2)) is None
    assert desk.search.history.ended is None
    assert desk.start().params == params
    assert desk.search.next() is None


def test_an_extended_finished_study_goes_on_from_no_trial_whose_checkpoint_its_end_has_removed(desk_with):
    options = {"parameter": "rate", "cycle_epochs": 2}
    desk = desk_with(sampler="lr-restarts", pruner="", sampler_options=options, budget={"epochs": 3}, **_FLOATS)
    desk.start()
    desk.train_interval(0, 0.5)
    desk.start()
    desk.report(1, 3, 0.3)  # the budget ends in mid-cycle, so that its configuration is still in the running
    desk.checkpoint(1, 3)
    desk.finish(1)
    assert desk.search.next() is None
    desk.search.conclude()
    assert desk.search.requests.extend(1, Budget(epochs=20)) is None
    assert not any(trial.has_own_checkpoint for trial in desk.trials)
    while (assignment := desk.search.next()) is not None:
        desk.train_interval(assignment.trial, 0.4)
    later = [trial for trial in desk.trials[2:] if trial.parent is not None]
    assert later
    assert all(trial.parent > 1 and trial.from_epoch for trial in later)


_FLOATS = {"space": {"rate": {"type": "float", "low": 0.05, "high": 1.0}}}
