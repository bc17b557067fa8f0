"""What holds for every search space, tried on random ones, nested up to three levels deep."""

import json
import pickle
import warnings
from itertools import count

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import distribution_to_json, json_to_distribution

from bandstand_spaces import SEARCH_SPACES, Categorical, Float, Int, SearchSpace
from bandstand_spaces.values import key_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
CHOICES = st.lists(
    TEXT | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
    min_size=1,
    max_size=4,
)


@st.composite
def stepped_floats(draw):
    step = draw(st.sampled_from([0.1, 0.25, 1e-3, 3.0, 0.07]))
    low = round(draw(st.integers(-50, 50)) * step, 6)
    return Float(low, low + step * draw(st.integers(1, 6)), step=step)


@st.composite
def continuous_floats(draw):
    log = draw(st.booleans())
    bounds = st.floats(1e-300 if log else -1e150, 1e150)
    low, high = sorted(draw(st.lists(bounds, min_size=2, max_size=2, unique=True)))
    return Float(low, high, log=log)


@st.composite
def ints(draw):
    low, steps = draw(st.integers(1, 1000)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        return Int(low, low + steps, log=True)
    step = draw(st.integers(1, 20))
    return Int(low - 500, low - 500 + steps * step, step=step)


def distinct(choices):
    """The choices without those that a Categorical refuses as doubles."""
    values, keys = {}, set()
    for choice in choices:
        if choice not in values and key_of(choice) not in keys:
            values[choice] = choice
            keys.add(key_of(choice))
    return list(values)


@st.composite
def spaces(draw, finite=False):
    """A random space with up to three levels and names that count up."""
    names = (f"p{number}" for number in count())
    leaves = [stepped_floats(), ints()] + ([] if finite else [continuous_floats()])

    def level(depth):
        return {next(names): parameter(depth) for _ in range(draw(st.integers(1, 2)))}

    def parameter(depth):
        if not draw(st.booleans()):
            return draw(st.one_of(leaves))
        choices = distinct(draw(CHOICES))
        branching = [choice for choice in choices if depth < 3 and draw(st.booleans())]
        return Categorical(choices, branches={choice: level(depth + 1) for choice in branching})

    return SearchSpace(level(1))


def types_of(params):
    return {name: type(value) for name, value in params.items()}


@given(spaces())
def test_a_space_comes_back_from_a_dict_json_toml_and_pickle_as_it_went_in(space):
    copies = [
        SearchSpace.from_dict(space.to_dict()),
        SearchSpace.from_json(space.to_json()),
        SearchSpace.from_toml(space.to_toml()),
        pickle.loads(pickle.dumps(space)),
    ]
    for copy in copies:
        assert copy == space
        assert hash(copy) == hash(space)
        assert copy.to_json() == space.to_json()
        assert [name for name, _, _ in copy.flat()] == [name for name, _, _ in space.flat()]


@given(spaces(finite=True))
@settings(max_examples=60)
def test_a_grid_has_as_many_points_as_its_size_says_all_distinct_and_valid(space):
    if space.size > 3000:
        assert sum(1 for _ in zip(space.grid(), range(3001), strict=False)) == 3001
        return
    points = list(space.grid())
    assert len(points) == space.size
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points)
    for point in points:
        space.check(point)


@given(spaces(), st.integers(0, 2**32))
def test_a_sample_is_always_a_point_of_the_space_in_plain_python_values(space, seed):
    for params in (space.sample(np.random.default_rng(seed + extra)) for extra in range(5)):
        space.check(params)
        assert set(types_of(params).values()) <= {bool, int, float, str}
        assert json.loads(json.dumps(params)) == params


@given(spaces(), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_sample_also_from_a_restored_space(space, seed):
    restored = SearchSpace.from_toml(space.to_toml())
    assert restored.sample(np.random.default_rng(seed)) == space.sample(np.random.default_rng(seed))


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_what_an_optuna_trial_suggests_is_a_point_and_has_the_distributions_of_the_space(space, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    distributions = space.distributions()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            trial = study.ask()
            params = space.suggest(trial)
            space.check(params)
            assert trial.params == params
            assert types_of(trial.params) == types_of(params)
            assert trial.distributions == {name: distributions[name] for name in params}
            study.tell(trial, 0.0)


@given(spaces(finite=True), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_every_point_of_a_grid_can_be_enqueued_and_comes_back_unchanged(space, seed):
    rng = np.random.default_rng(seed)
    study = optuna.create_study()
    point = space.sample(rng)
    study.enqueue_trial(point)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suggested = space.suggest(study.ask())
    assert suggested == point
    assert types_of(suggested) == types_of(point)


@given(spaces())
def test_distributions_survive_the_json_in_which_optuna_stores_them(space):
    for name, distribution in space.distributions().items():
        restored = json_to_distribution(distribution_to_json(distribution))
        assert restored == distribution
        if hasattr(distribution, "choices"):
            assert types_of(dict(enumerate(restored.choices))) == types_of(dict(enumerate(distribution.choices))), name


@given(st.one_of(stepped_floats(), continuous_floats(), ints()), st.floats(0, 1, exclude_max=True))
def test_every_fraction_of_a_range_maps_to_a_value_of_it(parameter, u):
    for fraction in (u, 0.0, 1 - 2**-53):
        assert parameter.contains(parameter.value_at(fraction))


@given(st.one_of(stepped_floats(), ints().filter(lambda parameter: not parameter.log)))
def test_equal_shares_of_the_fractions_give_each_grid_value_once(parameter):
    size = parameter.size
    assert tuple(parameter.value_at((index + 0.5) / size) for index in range(size)) == parameter.grid()


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_each_registered_space_comes_back_from_toml_and_samples_valid_params(name):
    space = SEARCH_SPACES[name]
    assert SearchSpace.from_toml(space.to_toml()) == space
    rng = np.random.default_rng(0)
    for _ in range(100):
        space.check(space.sample(rng))
