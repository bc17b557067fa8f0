"""Virtual workers drive a real Search; expectations are worked out by hand."""

from __future__ import annotations

import pytest

from bandstand.search.search import Search
from bandstand.simulation import Advance, Improvement, VirtualCluster, open_source, simulate

INF = float("inf")


def analytic(spec, seed=0):
    return open_source("analytic").curves(spec.space, spec.objective, spec.max_epochs, seed)


def test_two_workers_and_three_trials_do_what_was_worked_out_by_hand(spec_with, hand_curves):
    # ASHA with a rung at epoch 1, one in two goes on; the second worker takes 20 s for an epoch of 10 s.
    #  t   worker 1             worker 2
    #  0   trial 0 begins       trial 1 begins
    # 10   0.5: first of 1, on
    # 20   0.4: complete        0.9: second of 2, pruned (reported first: planned at 0); trial 2 begins
    # 40   idle                 0.3: first of 3, on
    # 60   idle                 0.2: complete
    spec = spec_with(pruner="asha", pruner_options={"min_epochs": 1, "reduction_factor": 2}, max_epochs=2)
    curves = hand_curves([0.5, 0.4], [0.9, 0.8], [0.3, 0.2])
    result = simulate(spec, curves, VirtualCluster(workers=2, speeds=(1.0, 0.5)))
    assert result.improvements == (
        Improvement(1, 10.0, 0.5, 0),
        Improvement(3, 20.0, 0.4, 0),
        Improvement(4, 40.0, 0.3, 2),
        Improvement(5, 60.0, 0.2, 2),
    )
    assert result.trial_epochs == (2, 1, 2)
    assert result.states == {"complete": 2, "pruned": 1}
    assert result.reasons == {"complete (max_epochs)": 2, "pruned": 1}
    assert (result.epochs, result.trials, result.seconds) == (5, 3, 60.0)
    assert result.trained_seconds == 80.0
    assert result.idle_share == pytest.approx(1 / 3)
    assert (result.best_value, result.chosen_value, result.reason) == (0.2, 0.2, "the budget is used up")
    assert [result.reached(epoch) for epoch in (1, 2, 3)] == [3, 2, 0]
    assert (result.epochs_between(0, 1), result.epochs_between(1, 2)) == (3, 2)
    assert result.best_at(seconds=19.9) == 0.5
    assert result.best_at(epochs=4) == 0.3
    assert result.decisions == 5 + 6  # reports; requests for work, of which three were in vain
    assert result.decision_seconds == 0.0


def test_a_worker_that_dies_costs_what_was_trained_since_the_checkpoint(spec_with, hand_curves, mortal_cluster):
    # Up at 5; epochs end at 15 and 25, with a checkpoint at epoch 2; dead at 30, 5 s into epoch 3; up again at 35.
    spec = spec_with(checkpoint_every=2, budget={"trials": 1})
    curves = hand_curves([0.4, 0.3, 0.2, 0.1])
    result = simulate(spec, curves, mortal_cluster([25.0], start_seconds=5.0))
    assert (result.seconds, result.deaths, result.epochs, result.epochs_again) == (55.0, 1, 4, 0)
    assert (result.trained_seconds, result.wasted_seconds, result.starting_seconds) == (45.0, 5.0, 10.0)
    assert result.idle_share == 0.0
    assert result.states == {"complete": 1}


def test_epochs_trained_again_after_a_loss_count_once(spec_with, hand_curves, mortal_cluster):
    spec = spec_with(checkpoint_every=3, budget={"trials": 1})  # dies before the first checkpoint
    result = simulate(spec, hand_curves([0.4, 0.3, 0.2, 0.1]), mortal_cluster([25.0], start_seconds=5.0))
    assert (result.seconds, result.epochs, result.epochs_again) == (75.0, 4, 2)
    assert (result.trained_seconds, result.wasted_seconds) == (65.0, 25.0)
    assert len(result.improvements) == 4


def test_a_trial_whose_workers_keep_dying_fails_and_the_study_goes_on(spec_with, hand_curves, mortal_cluster):
    spec = spec_with(budget={"trials": 2})
    result = simulate(spec, hand_curves([0.4] * 4, [0.3] * 4), mortal_cluster([5.0, 5.0, 5.0]))
    assert result.reasons == {"failed (worker_died)": 1, "complete (max_epochs)": 1}
    assert result.seconds == 15.0 + 40.0


def test_a_free_worker_takes_over_the_trial_of_one_that_died(spec_with, hand_curves, mortal_cluster):
    spec = spec_with(budget={"trials": 2}, max_epochs=2, checkpoint_every=1)
    result = simulate(spec, hand_curves([0.4, 0.3], [0.2, 0.1]), mortal_cluster([15.0], [], start_seconds=100.0))
    # Both up at 100; the first dies at 115, its trial waits for the second, free at 120: 10 s of it are left.
    assert result.seconds == 130.0
    assert result.states == {"complete": 2}


def test_wall_time_ends_a_study_to_the_second(spec_with, hand_curves):
    spec = spec_with(budget={"wall_seconds": 25})
    result = simulate(spec, hand_curves([0.4, 0.3, 0.2, 0.1]), VirtualCluster(workers=1))
    assert (result.seconds, result.epochs, result.trained_seconds) == (25.0, 2, 25.0)
    assert result.reasons == {"complete (budget)": 1}


def test_an_epoch_that_ends_with_the_time_counts(spec_with, hand_curves):
    result = simulate(
        spec_with(budget={"wall_seconds": 20}), hand_curves([0.4, 0.3, 0.2, 0.1]), VirtualCluster(workers=1)
    )
    assert (result.seconds, result.epochs) == (20.0, 2)


def test_gpu_hours_are_those_of_busy_workers(spec_with, hand_curves):
    spec = spec_with(budget={"gpu_hours": 50 / 3600}, resources={"gpus": 1})
    result = simulate(spec, hand_curves([0.4] * 4, [0.3] * 4), VirtualCluster(workers=2, start_seconds=(0.0, 10.0)))
    # The first alone until 10, then two: 10 + 2 * 20 = 50 GPU seconds at 30.
    assert result.seconds == pytest.approx(30.0)
    assert result.epochs in (4, 5)  # whether what ends at 30 still counts is a matter of the last digit


@pytest.mark.parametrize("pruner", ["none", "median", "asha", "hyperband"])
@pytest.mark.parametrize("workers", [1, 7, 64])
def test_a_budget_of_epochs_is_used_exactly(spec_with, pruner, workers):
    spec = spec_with(pruner=pruner, max_epochs=27, budget={"epochs": 500})
    troubled = VirtualCluster(workers=workers, deaths_per_hour=3.0, start_seconds=(2.0,), straggling=0.5)
    result = simulate(spec, analytic(spec), troubled)
    assert result.epochs == sum(result.trial_epochs) == 500
    assert sum(result.states.values()) == result.trials
    assert result.trained_seconds + result.starting_seconds <= result.worker_seconds * (1 + 1e-9)


def test_the_same_seed_gives_the_same_result(spec_with):
    spec = spec_with(pruner="asha", max_epochs=27, budget={"epochs": 700})
    cluster = VirtualCluster(workers=16, deaths_per_hour=5.0, straggling=1.0, speeds=(1.0, 0.7), seed=3)
    first, again = (simulate(spec, analytic(spec), cluster) for _ in range(2))
    other = simulate(spec, analytic(spec), VirtualCluster(workers=16, deaths_per_hour=5.0, straggling=1.0, seed=4))
    assert first.deaths > 0
    assert first == again
    assert first.seconds != other.seconds


def test_stragglers_and_slow_workers_make_a_study_longer(spec_with):
    spec = spec_with(max_epochs=10, budget={"trials": 40})
    plain, slow, straggling = (
        simulate(spec, analytic(spec), cluster)
        for cluster in (
            VirtualCluster(workers=4),
            VirtualCluster(workers=4, speeds=(0.5,)),
            VirtualCluster(workers=4, straggling=1.0),
        )
    )
    assert slow.seconds == pytest.approx(2 * plain.seconds)
    # The mean of 1 + |z| is 1 + sqrt(2 / pi) = 1.80.
    assert straggling.trained_seconds / plain.trained_seconds == pytest.approx(1.80, abs=0.1)
    assert plain.epochs == slow.epochs == straggling.epochs


def test_work_spreads_over_64_workers(spec_with):
    spec = spec_with(max_epochs=27, budget={"epochs": 64 * 54})
    few, many = (simulate(spec, analytic(spec), VirtualCluster(workers=workers)) for workers in (1, 64))
    assert few.idle_share == 0.0
    assert 30 < few.seconds / many.seconds <= 64


def test_a_trial_that_pauses_goes_on_from_its_checkpoint(spec_with, hand_curves):
    options = {"min_epochs": 2, "reduction_factor": 2}
    spec = spec_with(budget={"trials": 2}, pruner="asha-promote", pruner_options=options)
    result = simulate(spec, hand_curves([0.4, 0.3, 0.2, 0.1], [0.8] * 4), VirtualCluster(workers=1))
    assert result.trial_epochs == (4, 2)
    assert result.epochs_again == 0
    assert result.seconds == 60.0


@pytest.mark.parametrize("policy", ["pbt", "lr-restarts"])
def test_lineages_go_on_from_their_parents_whoever_dies(spec_with, policy):
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}
    spec = spec_with(sampler=policy, pruner="", space=space, max_epochs=20, budget={"epochs": 200})
    cluster = VirtualCluster(workers=4, deaths_per_hour=5.0, seed=3)
    search = Search(spec)
    result = simulate(spec, analytic(spec), cluster, search=search)
    assert result.deaths > 0
    assert result.epochs == sum(result.trial_epochs) == 200
    assert any(trial.from_epoch for trial in search.history.trials)


def test_the_rates_within_a_cycle_are_those_that_its_epochs_are_trained_with(spec_with):
    class Curves:
        """Notes the rate of each epoch."""

        def __init__(self):
            self.rates = []

        def open(self, params, seed):
            return self

        def start(self):
            return None

        def advance(self, state, epoch, learning_rate=None):
            self.rates.append((epoch, learning_rate))
            return Advance(None, {"val_loss": 1.0 / epoch}, 10.0)

    curves = Curves()
    options = {"cycle_epochs": 2, "configurations": 1, "restart": "initial", "schedule": "linear"}
    spec = spec_with(sampler="lr-restarts", pruner="", sampler_options=options, budget={"epochs": 4})
    search = Search(spec)
    result = simulate(spec, curves, VirtualCluster(workers=1), search=search)
    rate = search.history.trials[0].params["learning_rate"]
    parts = [(1, 1.0), (2, 0.505), (3, 1.0), (4, 0.505)]  # half of the way down to a hundredth
    assert curves.rates == [(epoch, pytest.approx(rate * part)) for epoch, part in parts]
    assert (result.children, result.scheduled, result.trials) == (1, 2, 2)


def test_decisions_are_timed_by_the_stopwatch_that_is_handed_in(spec_with, hand_curves):
    ticks = iter(range(1000))
    result = simulate(
        spec_with(budget={"trials": 1}),
        hand_curves([0.1] * 4),
        VirtualCluster(workers=1),
        stopwatch=lambda: next(ticks),
    )
    assert result.decision_seconds == result.decisions == 4 + 2
