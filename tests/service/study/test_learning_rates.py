"""Learning rates as formulas: each shape by hand on small numbers, then over any numbers there may be."""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandstand.learning_rates import LEARNING_RATES, Cycle, Reset, rates, restart_cycles

FLOAT32_LEAST = 1.1754944e-38

any_cycles = st.builds(
    lambda epochs, warmup, **rest: Cycle(epochs=epochs, warmup_epochs=min(warmup, epochs - 1), **rest),
    shape=st.sampled_from(list(LEARNING_RATES)),
    initial=st.floats(1e-30, 1e30),
    epochs=st.integers(1, 10**6),
    warmup=st.integers(0, 50),
    decay=st.floats(0, 1e300),
    factor=st.floats(1e-300, 1),
    every_epochs=st.integers(1, 1000),
    final_fraction=st.floats(1e-6, 1),
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"shape": "constant"}, [0.8, 0.8, 0.8, 0.8]),
        ({"shape": "time", "decay": 1.0}, [0.8, 0.4, 0.8 / 3, 0.2]),
        ({"shape": "exponential", "decay": math.log(2)}, [0.8, 0.4, 0.2, 0.1]),
        ({"shape": "step", "factor": 0.1, "every_epochs": 2}, [0.8, 0.8, 0.08, 0.08]),
        ({"shape": "cosine"}, [0.8, 0.4 * (1 + 2**-0.5), 0.4, 0.4 * (1 - 2**-0.5)]),
        ({"shape": "linear"}, [0.8, 0.6, 0.4, 0.2]),
        ({"shape": "linear", "final_fraction": 0.5}, [0.8, 0.7, 0.6, 0.5]),
        ({"shape": "cosine", "final_fraction": 0.5}, [0.8, 0.6 + 0.2 * 2**-0.5, 0.6, 0.6 - 0.2 * 2**-0.5]),
        ({"shape": "step", "factor": 0.1, "every_epochs": 1, "final_fraction": 0.05}, [0.8, 0.08, 0.04, 0.04]),
    ],
)
def test_a_shape_has_the_rates_of_its_formula(options: dict[str, Any], expected: list[float]) -> None:
    assert rates(Cycle(initial=0.8, epochs=4, **options)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", LEARNING_RATES)
def test_a_rate_warms_up_to_the_initial_one_and_then_follows_its_shape(shape: str) -> None:
    warm = Cycle(shape=shape, initial=0.8, epochs=7, warmup_epochs=3)
    assert rates(warm)[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert warm.rate_at(1.5) == pytest.approx(0.5)
    assert rates(warm)[3:] == rates(Cycle(shape=shape, initial=0.8, epochs=4))


@pytest.mark.parametrize(
    ("options", "later"),
    [
        ({"shape": "cosine", "final_fraction": 0.01}, 0.008),
        ({"shape": "linear"}, 0.8e-6),
        ({"shape": "time", "decay": 1.0}, 0.1),
        ({"shape": "exponential", "decay": math.log(2) / 7}, 0.4),
        ({"shape": "exponential", "decay": 1e9}, 0.8e-6),
        ({"shape": "step", "every_epochs": 7}, 0.4),
    ],
)
def test_after_its_end_a_cycle_stays_or_goes_on_falling_as_far_as_its_least_rate(
    options: dict[str, Any], later: float
) -> None:
    assert Cycle(initial=0.8, epochs=4, **options).rate_at(7) == pytest.approx(later)


def test_within_an_epoch_the_rate_changes_but_for_steps() -> None:
    halves = {shape: Cycle(shape=shape, initial=1.0, epochs=4, every_epochs=1).rate_at(1.5) for shape in LEARNING_RATES}
    assert halves["step"] == 0.5
    assert halves["linear"] == pytest.approx(0.625, rel=1e-5)
    assert halves["cosine"] == pytest.approx((1 + math.cos(math.pi * 3 / 8)) / 2, rel=1e-5)


@given(any_cycles, st.floats(0, allow_nan=False, allow_infinity=False))
def test_every_rate_is_finite_and_positive_in_float32_too(cycle: Cycle, t: float) -> None:
    for time in (t, 0.0, float(cycle.warmup_epochs), float(cycle.epochs)):
        rate = cycle.rate_at(time)
        assert math.isfinite(rate)
        assert FLOAT32_LEAST < rate <= cycle.initial * (1 + 1e-12)


@given(any_cycles, st.floats(0, 2e6), st.floats(0, 2e6))
def test_after_the_warm_up_a_rate_never_rises(cycle: Cycle, one: float, other: float) -> None:
    earlier, later = (cycle.warmup_epochs + t for t in sorted((one, other)))
    assert cycle.rate_at(later) <= cycle.rate_at(earlier) * (1 + 1e-12)


@pytest.mark.parametrize("t", [-0.5, math.nan, math.inf])
def test_a_time_that_is_none_is_refused(t: float) -> None:
    with pytest.raises(ValueError, match=r"t must be finite and at least 0; got .*; it is counted from the cycle's"):
        Cycle(shape="cosine", initial=0.1, epochs=3).rate_at(t)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "cosin"}, "shape must be one of constant, time, exponential, step, cosine, linear; got 'cosin'"),
        ({"initial": 0.0}, "initial must be a learning rate from 1e-30 to 1e+30; got 0.0; 0.01 is common"),
        ({"initial": math.nan}, "initial must be a learning rate"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1; got 0"),
        ({"epochs": 2.5}, "epochs must be a whole number of at least 1; got 2.5"),
        ({"every_epochs": 0}, "every_epochs must be a whole number of at least 1; got 0"),
        ({"warmup_epochs": -1}, "warmup_epochs must be a whole number of at least 0; got -1"),
        ({"warmup_epochs": 4}, "warmup_epochs must be less than epochs = 4; got 4; shorten the warm-up"),
        ({"decay": -0.1}, "decay must be finite and at least 0; got -0.1; 0 is no decay"),
        ({"factor": 0.0}, "factor must be above 0 and at most 1; got 0.0; 0.5 halves the rate"),
        ({"factor": 1.5}, "factor must be above 0 and at most 1; got 1.5"),
        ({"final_fraction": 0.0}, "final_fraction must be from 1e-06 to 1, because no rate may be 0; got 0.0"),
    ],
)
def test_a_cycle_that_cannot_be_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        Cycle(**({"shape": "cosine", "initial": 0.1, "epochs": 4} | options))
    assert "\n" not in str(refused.value)


def test_a_restart_sets_the_initial_or_a_decayed_rate() -> None:
    assert [Reset().rate_after(number, 0.8) for number in (1, 2, 3)] == [0.8, 0.8, 0.8]
    decayed = Reset(to="decayed", factor=0.5)
    assert [decayed.rate_after(number, 0.8) for number in (1, 2, 3)] == [0.4, 0.2, 0.1]
    assert decayed.rate_after(10**6, 0.8) > FLOAT32_LEAST


def test_random_rates_depend_on_the_seed_and_the_restart_alone() -> None:
    rule = Reset(to="random", low=1e-4, high=1e-1, seed=3)
    drawn = [rule.rate_after(number, 0.8) for number in range(1, 6)]
    again = pickle.loads(pickle.dumps(rule))
    assert [again.rate_after(number, 0.2) for number in reversed(range(1, 6))] == drawn[::-1]
    other = Reset(to="random", low=1e-4, high=1e-1, seed=4)
    assert len({*drawn, *(other.rate_after(number, 0.8) for number in range(1, 6))}) == 10


def test_random_rates_are_log_uniform() -> None:
    exponents = [
        math.log10(Reset(to="random", low=1e-4, high=1e-1, seed=seed).rate_after(number, 1.0))
        for seed in range(60)
        for number in range(1, 51)
    ]
    assert min(exponents) >= -4 - 1e-9
    assert max(exponents) <= -1 + 1e-9
    for bound in (-3.25, -2.5, -1.75):
        below = sum(exponent < bound for exponent in exponents) / len(exponents)
        assert below == pytest.approx((bound + 4) / 3, abs=0.04)  # 4 standard deviations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "best"}, "to must be one of initial, decayed, random; got 'best'"),
        ({"to": "random"}, "a random rate must have low and high; got None and None; set both"),
        ({"to": "random", "low": 0.1, "high": 0.1}, "low must be less than high = 0.1; got 0.1"),
        ({"to": "random", "low": 0.0, "high": 0.1}, "low must be a learning rate from"),
        ({"to": "decayed", "factor": 0.0}, "factor must be above 0 and at most 1; got 0.0"),
    ],
)
def test_a_reset_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Reset(**options)


def test_cycles_grow_by_the_multiplier_and_begin_with_what_the_reset_says() -> None:
    first = Cycle(shape="cosine", initial=0.8, epochs=3, warmup_epochs=1, final_fraction=0.1)
    cycles = restart_cycles(first, restarts=3, multiplier=1.5, reset=Reset(to="decayed", factor=0.5))
    assert [(cycle.epochs, cycle.initial) for cycle in cycles] == [(3, 0.8), (4, 0.4), (7, 0.2), (10, 0.1)]
    assert {(cycle.shape, cycle.warmup_epochs, cycle.final_fraction) for cycle in cycles} == {("cosine", 1, 0.1)}
    assert restart_cycles(first, restarts=0) == [first]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restarts": -1}, "restarts must be a whole number of at least 0; got -1"),
        ({"restarts": 1, "multiplier": 0.5}, "multiplier must be finite and at least 1; got 0.5"),
        ({"restarts": 2000, "multiplier": 2.0}, "the last cycle must be at most 1000000000 epochs long"),
    ],
)
def test_restarts_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        restart_cycles(Cycle(shape="cosine", initial=0.1, epochs=4), **options)
