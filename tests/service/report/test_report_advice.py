"""Warnings about a search: each fires where it should, and is silent where it should be."""

import pytest

from bandstand.problem.budget import Budget
from bandstand.report.figures.importances import ImportanceData
from bandstand.report.findings.advice import search_warnings
from bandstand.report.findings.range_ends import range_end_of
from bandstand_spaces import Categorical, Float, Int, SearchSpace

NONE = "Importance needs more trials."
WIDE = {"pruner": "none", "budget": Budget(epochs=100)}


def importance(shares, trials):
    return ImportanceData(tuple(shares), (), trials, trials, None, "val_loss")


@pytest.fixture
def warn(make_record):
    """The warnings about a record, joined."""

    def find(runs, spec, told=NONE, **changes):
        return " ".join(search_warnings(make_record(runs, spec=spec, **changes), told))

    return find


@pytest.fixture
def spec_of(make_spec):
    """A spec over the given parameters."""

    def make(parameters, **changes):
        return make_spec(**({"space": SearchSpace(parameters)} | WIDE | changes))

    return make


def test_an_ordinary_search_is_not_warned_about(warn, spec_of, run):
    spec = spec_of({"rate": Float(1e-4, 1e-1, log=True), "units": Int(8, 64)})
    runs = [run([1.0 + 0.1 * i], params={"rate": 0.002 + 0.001 * i, "units": 16 + 2 * i}) for i in range(12)]
    assert warn(runs, spec, importance([("rate", 0.6), ("units", 0.4)], 40)) == ""


@pytest.mark.parametrize(
    ("parameter", "value", "end", "wider"),
    [
        (Float(1e-4, 1e-1, log=True), 0.0999, "upper", "0.0001 to 1, logarithmic"),
        (Float(1e-4, 1e-2, log=True), 1e-4, "lower", "1e-05 to 0.01, logarithmic"),
        (Float(0.5, 1.5), 1.499, "upper", "0.5 to 2"),
        (Float(0.1, 0.5), 0.1, "lower", "0 to 0.5"),
        (Float(0.0, 0.9), 0.899, "upper", "0 to 0.95"),
        (Float(0.0, 0.5), 0.0, "lower", None),
        (Float(-1.0, 1.0), -1.0, "lower", "-2 to 1"),
        (Int(16, 128, step=16), 128, "upper", "16 to 192"),
        (Int(16, 128, step=16), 16, "lower", "1 to 128"),
        (Int(8, 512, log=True), 512, "upper", "8 to 5,120, logarithmic"),
        (Int(1, 10), 1, "lower", None),
        (Int(1, 2), 2, "upper", "1 to 3"),
        (Int(1, 3), 3, "upper", "1 to 4"),
        (Int(2, 4), 2, "lower", "1 to 4"),
        (Int(16, 64, step=16), 64, "upper", "16 to 96"),
        (Int(32, 128, log=True), 32, "lower", "16 to 128, logarithmic"),
        (Float(0.1, 0.3, step=0.1), 0.3, "upper", "0.1 to 0.4"),
    ],
)
def test_a_value_on_the_border_names_the_wider_range(parameter, value, end, wider):
    assert range_end_of(parameter, value) == (end, wider)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(1e-4, 1e-1, log=True), 0.05),
        (Float(0.0, 0.5), 0.25),
        (Categorical(["sgd", "adam"]), "sgd"),
        (Int(1, 3), 2),
        (Int(16, 64, step=16), 32),
    ],
)
def test_a_value_within_its_range_is_on_no_border(parameter, value):
    assert range_end_of(parameter, value) is None


def test_the_best_value_on_a_border_is_a_warning_and_that_of_another_trial_is_not(warn, spec_of, run):
    spec = spec_of({"rate": Float(1e-4, 1e-1, log=True)})
    runs = [run([1.0], params={"rate": 0.01}), run([2.0], params={"rate": 0.1})]
    assert warn(runs, spec) == ""
    told = warn(
        runs[::-1], spec.model_copy(update={"objective": spec.objective.model_copy(update={"direction": "maximize"})})
    )
    assert "is at the upper end of its range, so better values may lie beyond it. Try 0.0001 to 1, logarithmic." in told


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [
        (
            Int(1, 3),
            3,
            "The best value of layers (3) is at the upper end of its range, so better values may lie beyond it. Try 1 "
            "to 4.",
        ),
        (Int(1, 3), 1, ""),  # a model has at least one layer, so there is nothing to try
        (
            Int(0, 2),
            0,
            "The best value of layers (0) is at the lower end of its range, so the model may do without it.",
        ),
    ],
)
def test_a_range_of_three_values_has_borders_too(warn, spec_of, run, parameter, value, told):
    found = warn([run([1.0], params={"layers": value})], spec_of({"layers": parameter}))
    assert found.startswith(told) if told else found == ""


def test_a_parameter_that_never_mattered_needs_enough_trials_to_say_so(warn, spec_of, run):
    spec = spec_of({"rate": Float(1e-4, 1e-1, log=True)})
    runs = [run([1.0], params={"rate": 0.01})]
    shares = [("rate", 0.97), ("units", 0.015), ("seed", 0.005)]
    assert "units and seed hardly mattered: each explains less than 2%" in warn(runs, spec, importance(shares, 30))
    assert warn(runs, spec, importance(shares, 29)) == ""
    assert warn(runs, spec, importance([("rate", 0.6), ("units", 0.4)], 30)) == ""


def test_a_linear_range_over_decades_wants_a_logarithm(warn, spec_of, run):
    runs = [run([1.0], params={"rate": 0.05})]
    told = warn(runs, spec_of({"rate": Float(1e-4, 0.1)}))
    assert "With log = true, small values are searched as closely as large ones." in told
    assert warn(runs, spec_of({"rate": Float(1e-4, 0.1, log=True)})) == ""
    assert warn(runs, spec_of({"rate": Float(0.01, 0.1)})) == ""


def test_best_trials_crowded_at_the_low_end_want_a_logarithm(warn, spec_of, run):
    spec = spec_of({"decay": Float(0.0, 1.0)})
    crowded = [run([1.0 + i], params={"decay": 0.001 * (i + 30) if i < 10 else i / 60}) for i in range(60)]
    assert "In the 6 best trials, decay is at most 0.035, in the lowest tenth of its range" in warn(crowded, spec)
    spread = [run([1.0 + i], params={"decay": (i * 7 % 60 + 1) / 62}) for i in range(60)]
    assert "lowest tenth" not in warn(spread, spec)


def test_a_model_that_was_never_used_is_a_budget_too_small(warn, spec_of, run):
    space = {"rate": Float(1e-4, 1e-1, log=True)}
    runs = [run([1.0], params={"rate": 0.01})] * 12
    told = "The budget is too small for the sampler tpe. It draws at random until 10 trials have a value"
    assert told in warn(runs[:9], spec_of(space, sampler="tpe"))
    assert "too small" not in warn(runs, spec_of(space, sampler="tpe"))
    assert "too small" not in warn(runs[:9], spec_of(space, sampler="random"))
    assert "too small" not in warn(runs[:9], spec_of(space, sampler="tpe", sampler_options={"startup_trials": 5}))
    assert "the sampler gp. It draws at random until 20" in warn(
        runs, spec_of(space, sampler="gp", sampler_options={"startup_trials": 20})
    )
    assert "too small" not in warn(runs[:9], spec_of(space, sampler="tpe"), state="running")


def test_halving_that_hardly_anybody_passed_is_a_budget_too_small(warn, spec_of, run):
    space = {"rate": Float(1e-4, 1e-1, log=True)}
    short, long = run([1.0], "pruned", "rung 1", params={"rate": 0.01}), run([1.0] * 9, params={"rate": 0.01})
    spec = spec_of(space, pruner="asha", pruner_options={"min_epochs": 1})
    assert "The budget is too small for asha. Only 2 trials reached its second rung, epoch 3." in warn(
        [short, long, long], spec
    )
    assert "too small" not in warn([short, long, long, long], spec)
    assert "too small" not in warn([short, long], spec_of(space))


def test_a_study_that_completed_no_trial_says_what_its_best_is_worth(warn, spec_of, run):
    spec = spec_of({"rate": Float(1e-4, 1e-1, log=True)})
    pruned = run([1.0], "pruned", "rung 1", params={"rate": 0.01})
    assert "No trial was completed" in warn([pruned], spec)
    assert "No trial was completed" not in warn([pruned], spec, state="running")
    assert "No trial was completed" not in warn([], spec)
    assert "No trial was completed" not in warn([pruned, run([1.0], params={"rate": 0.01})], spec)


def test_repeats_that_differ_by_more_than_the_best_leads_are_a_warning(warn, spec_of, run):
    spec = spec_of({"rate": Float(1e-4, 1e-1, log=True)})
    near = [
        run([value], params={"rate": rate}) for rate, value in ((0.01, 1.0), (0.01, 1.3), (0.02, 1.2), (0.02, 1.16))
    ]
    assert "Trials with the same params differ by" in warn(near, spec)
    children = [one._replace(parent=0, from_epoch=3) if index else one for index, one in enumerate(near)]
    assert warn(children, spec) == ""
    clear = [run([value], params={"rate": rate}) for rate, value in ((0.01, 1.0), (0.01, 1.01), (0.02, 2.0))]
    assert warn(clear, spec) == ""


def test_cells_of_a_grid_that_failed_are_named_unless_they_succeeded_later(warn, spec_of, run):
    spec = spec_of({"units": Int(8, 32, step=8)}, sampler="grid")
    good = [run([1.0 + 0.1 * units], params={"units": units}) for units in (8, 16)]
    failed = run([], "failed", "out_of_memory", params={"units": 32})
    assert "1 of 3 points of the grid failed (units 32), so their values are not known." in warn([*good, failed], spec)
    assert "failed" not in warn([*good, failed, run([5.0], params={"units": 32})], spec)
    assert "failed" not in warn([*good, failed], spec_of({"units": Int(8, 32, step=8)}))
