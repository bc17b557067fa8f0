"""What holds for every sampler with every pruner, whoever dies, in whatever order things happen."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandstand.trials.events import TrialState
from tests.service.search.harness.endings import check_ending
from tests.service.search.harness.pairs import PAIRS, SHORT_STARTS, replay_options
from tests.service.strategies.pruners.first_rungs import LEARNERS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

MODERATELY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEWER_TIMES = settings(MODERATELY, max_examples=6)
RARELY = st.sampled_from([0.0, 0.03, 0.15])


HALVING = ("asha", "asha-promote", "hyperband", "successive-halving")


@st.composite
def specs(draw, sampler, pruner):
    """Settings of a study with at least one limit, some of it small; half of those that may learn from it can."""
    learns = pruner in LEARNERS and draw(st.booleans())
    max_epochs = draw(st.integers(6, 12) if learns else st.integers(1, 12))
    budget = {
        "epochs": draw(st.integers(50, 80) if learns else st.none() | st.integers(1, 70)),
        "trials": draw(st.none() | st.integers(1, 25)),
    }
    if not any(budget.values()):
        budget["epochs"] = 40
    options = {}
    if pruner not in ("", "none", *HALVING) and draw(st.booleans()):
        options["min_epochs"] = draw(st.integers(1, max_epochs))
    if pruner in HALVING:
        options["min_epochs"] = "auto" if learns else draw(st.just("auto") | st.integers(1, max_epochs))
        options["reduction_factor"] = 2 if learns and max_epochs < 9 else draw(st.sampled_from([2, 3, 4]))
    if pruner in ("median", "percentile"):
        options["startup_trials"] = draw(st.integers(1, 5))
    if pruner == "patience":
        options["patience"] = draw(st.integers(1, 3))
    if pruner == "threshold":
        options["upper"] = draw(st.sampled_from([0.5, 1.1]))
    objective = {
        "direction": draw(st.sampled_from(["minimize", "maximize"])),
        "epoch": draw(st.sampled_from(["best", "last"])),
    }
    if sampler == "lr-restarts":
        space = {"rate": {"type": "float", "low": 0.05, "high": 1.0}, "units": {"type": "int", "low": 1, "high": 9}}
        settings = {"space": space}
    else:
        settings = {}
    return settings | {
        "sampler": sampler, "pruner": pruner, "pruner_options": options, "max_epochs": max_epochs, "budget": budget,
        "objective": objective, "seed": draw(st.integers(0, 2**63 - 1)), "max_attempts": draw(st.integers(1, 3)),
        "sampler_options": draw(sampler_options(sampler, max_epochs)),
    }  # fmt: skip


@st.composite
def sampler_options(draw, sampler, max_epochs):
    """Options that make a small study do what a large one does."""
    if sampler == "pbt":
        return {
            "population": draw(st.integers(2, 6)), "interval": draw(st.integers(1, max_epochs)),
            "exploit": draw(st.sampled_from(["truncation", "tournament"])),
            "explore": draw(st.sampled_from([("rate",), ("rate", "momentum"), ()])),
        }  # fmt: skip
    if sampler == "pb2":
        return {
            "population": draw(st.integers(2, 6)), "interval": draw(st.integers(1, max_epochs)),
            "exploit": draw(st.sampled_from(["truncation", "tournament"])),
            "explore": draw(st.sampled_from([("rate",), ("rate", "momentum")])),
        }  # fmt: skip
    if sampler == "bohb":
        return {
            "min_epochs": draw(st.integers(1, max_epochs)), "reduction_factor": draw(st.sampled_from([2, 3, 4])),
            "random_fraction": draw(st.sampled_from([0.0, 0.5])), "startup_trials": draw(st.sampled_from([None, 2])),
        }  # fmt: skip
    if sampler.startswith("tune-"):
        return {"population": draw(st.integers(2, 6)), "interval": draw(st.integers(1, max_epochs))}
    if sampler == "lr-restarts":
        return {
            "parameter": "rate", "schedule": draw(st.sampled_from(["constant", "cosine", "step"])),
            "cycle_epochs": draw(st.integers(1, max_epochs)), "cycle_multiplier": draw(st.sampled_from([1.0, 2.0])),
            "cycles": draw(st.none() | st.integers(1, 4)), "configurations": draw(st.none() | st.integers(1, 5)),
            "restart": draw(st.sampled_from(["initial", "decayed", "random"])),
            "weights": draw(st.sampled_from(["last", "best", "fresh"])),
            "bandit": draw(st.sampled_from(["rejects", "ucb"])),
        }  # fmt: skip
    if sampler == "replay":
        return replay_options(max_epochs)
    return SHORT_STARTS.get(sampler, {})


@st.composite
def clusters(draw):
    """How many workers there are, and the probability of each kind of trouble."""
    return {
        "workers": draw(st.sampled_from([1, 2, 3, 8, 64])), "seed": draw(st.integers(0, 2**32)),
        "checkpoint_every": draw(st.sampled_from([None, 1, 2])), "lose_worker": draw(RARELY),
        "blame": draw(st.sampled_from([0.0, 0.5])), "kill_coordinator": draw(RARELY), "stop": draw(RARELY),
        "stop_early": draw(RARELY), "diverge": draw(RARELY), "miss_metric": draw(st.sampled_from([0.0, 0.0, 0.05])),
        "fail": draw(RARELY), "refuse_checkpoint": draw(RARELY),
    }  # fmt: skip


@pytest.mark.parametrize("pruner", LEARNERS)
def test_among_the_studies_tried_here_many_find_that_the_lowest_rung_tells(spec_with, cluster_of, pruner):
    found = []

    @settings(MODERATELY, max_examples=40, derandomize=True, database=None)
    @given(changes=specs("random", pruner), cluster=clusters())
    def look(changes, cluster):
        trials = cluster_of(spec_with(**changes), **cluster).run().history.trials
        if changes["pruner_options"]["min_epochs"] == "auto":
            # The first trials are in bracket 1, where there is one; only what was learned brings some to bracket 0.
            found.append({0, 1} <= {trial.bracket for trial in trials})

    look()
    assert sum(found) >= 8


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_study_ends_with_its_budget_used_exactly_and_every_trial_ended_once(
    spec_with, cluster_of, account_of, sampler, pruner
):
    @MODERATELY
    @given(changes=specs(sampler, pruner), cluster=clusters())
    def check(changes, cluster):
        spec = spec_with(**changes)
        run = cluster_of(spec, **cluster)
        run.run()
        check_ending(run, account_of(spec, run.stored))

    check()


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_losing_workers_changes_how_often_a_trial_is_begun_and_nothing_else(
    spec_with, cluster_of, account_of, sampler, pruner
):
    @FEWER_TIMES
    @given(changes=specs(sampler, pruner), seed=st.integers(0, 2**32), workers=st.integers(1, 4))
    def check(changes, seed, workers):
        spec = spec_with(**changes)
        run = cluster_of(
            spec, workers=workers, seed=seed, lose_worker=0.2, blame=0.7, kill_coordinator=0.05, checkpoint_every=2
        )
        history = run.run().history
        assert [trial.number for trial in history.trials if trial.state is TrialState.FAILED] == []
        assert not history.ended.failed
        account = account_of(spec, run.stored)
        for trial, fact in zip(account.trials, history.trials, strict=True):
            epochs = range(trial.begin + 1, trial.begin + len(trial.values) + 1)
            curve = [run._curve(trial.params, epoch) for epoch in epochs]
            assert trial.values == fact.values == curve

    check()


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_one_worker_that_dies_now_and_then_finds_what_one_that_never_dies_finds(spec_with, cluster_of, sampler, pruner):
    @FEWER_TIMES
    @given(changes=specs(sampler, pruner), seed=st.integers(0, 2**32))
    def check(changes, seed):
        spec = spec_with(**changes)
        calm = cluster_of(spec).run().history
        # Nothing that was stored is lost, so the order of what counts is the same.
        shaken = (
            cluster_of(spec, seed=seed, lose_worker=0.1, kill_coordinator=0.1, stop=0.05, checkpoint_every=1)
            .run()
            .history
        )
        assert _results(shaken) == _results(calm)

    check()


def _results(history):
    return [(dict(trial.params), trial.bracket, trial.values, trial.state, trial.reason) for trial in history.trials]


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_limit_of_time_ends_everything_and_leaves_nothing_waiting(spec_with, cluster_of, account_of, sampler, pruner):
    @FEWER_TIMES
    @given(
        changes=specs(sampler, pruner),
        cluster=clusters(),
        limit=st.sampled_from(["wall_seconds", "gpu_hours"]),
    )
    def check(changes, cluster, limit):
        # For 40 epochs and 20, however many workers share the time.
        time = {"wall_seconds": 40.5 / cluster["workers"]} if limit == "wall_seconds" else {"gpu_hours": 20 / 3600}
        spec = spec_with(**changes | {"budget": time, "resources": {"gpus": 1}})
        run = cluster_of(spec, **cluster, seconds_per_epoch=1.0, gpus=1)
        run.run()
        check_ending(run, account_of(spec, run.stored))

    check()
