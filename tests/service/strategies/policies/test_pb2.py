"""Population-based bandits: what their model is told, what it makes of it, and what that is worth."""

import math
from statistics import median

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.strategies.policies import pb2
from bandstand.strategies.policies.time_varying_gp import TimeVaryingGP
from bandstand.trials.events import Action
from bandstand_spaces import Categorical, Float, Int, SearchSpace

LINE = SearchSpace({"rate": Float(1e-5, 1.0, log=True)})
SPACE = SearchSpace({"rate": Float(1e-4, 1.0, log=True), "units": Int(1, 8), "batch": Categorical([16, 32, 64])})


@pytest.fixture
def lessons(monkeypatch):
    """What the model is fitted on, as (points, times, gains), and asked, as (points, time, pending, pending times)."""
    seen = []

    class Spy(TimeVaryingGP):
        def __init__(self, *data):
            super().__init__(*data)
            seen.append((data, self.questions))

        @property
        def questions(self):
            return self.__dict__.setdefault("_questions", [])

        def upper_bounds(self, *question):
            self.questions.append(question)
            return super().upper_bounds(*question)

    monkeypatch.setattr(pb2, "TimeVaryingGP", Spy)
    return seen


def population(desk_with, **options):
    settings = {"population": 5, "interval": 2, "explore": ["rate"]} | options
    return desk_with(
        sampler="pb2", pruner="", sampler_options=settings, space=SPACE, max_epochs=8, budget={"epochs": 40}
    )


def train_interval(desk, trial, first, second):
    for value in (first, second):
        verdict = desk.report(trial, desk.trials[trial].epochs + 1, value)
    assert verdict.action is Action.PAUSE
    desk.checkpoint(trial, desk.trials[trial].epochs)
    desk.pause(trial)


def numbers(values):
    return np.asarray(values).tolist()


# -- the model ------------------------------------------------------------------------------------------------------


def test_a_bound_is_the_mean_and_a_deviation_that_grows_with_distance_and_time():
    model = TimeVaryingGP(np.array([[0.0]]), np.array([0.0]), np.array([3.0]))
    nobody = np.empty((0, 1)), np.empty(0)
    # One reward says nothing but where one has looked: length 0.4, noise 0.1, ω 0.1 as they are, β 0.2.
    here, there = model.upper_bounds(np.array([[0.0], [0.4]]), 2.0, *nobody)
    correlation = math.exp(-0.5) * 0.9  # a length away, 2 units of time later
    assert there == pytest.approx(math.sqrt(0.2 * (1 - correlation**2 / 1.1))) == pytest.approx(0.38186, abs=1e-5)
    assert here == pytest.approx(math.sqrt(0.2 * (1 - 0.9**2 / 1.1)))
    assert model.upper_bounds(np.array([[0.0]]), 0.0, *nobody)[0] == pytest.approx(math.sqrt(0.2 * 0.1 / 1.1))


def test_a_pending_point_counts_as_looked_at_and_says_nothing_of_how_good_it_is():
    model = TimeVaryingGP(np.array([[0.0]]), np.array([0.0]), np.array([3.0]))
    bound = model.upper_bounds(np.array([[0.4]]), 2.0, np.array([[0.4]]), np.array([2.0]))
    assert bound[0] == pytest.approx(0.13262, abs=1e-4)


def test_bounds_are_those_of_the_plain_formula_whatever_was_asked_before():
    rng = np.random.default_rng(0)
    points, times, rewards = rng.random((30, 2)), np.repeat(np.arange(6.0), 5), rng.standard_normal(30)
    model = TimeVaryingGP(points, times, rewards)
    kernel, asked, now = model._kernel, rng.random((7, 2)), np.full(7, 6.0)

    def correlation(left, left_times, right, right_times):
        steps = (left[:, None] - right[None]) / kernel.lengths
        gaps = np.abs(left_times[:, None] - right_times[None])
        return np.exp(-0.5 * (steps**2).sum(axis=2)) * (1 - kernel.forgetting) ** (gaps / 2)

    for count in (0, 3, 1):
        pending, pending_times = rng.random((count, 2)), np.full(count, 6.0)
        known, known_times = np.concatenate([points, pending]), np.concatenate([times, pending_times])
        noise = kernel.noise * np.eye(len(known))
        across = correlation(asked, now, known, known_times)
        among = correlation(known, known_times, known, known_times) + noise
        mean = across[:, :30] @ np.linalg.solve(among[:30, :30], (rewards - rewards.mean()) / rewards.std())
        deviation = np.sqrt(1 - np.einsum("ij,ji->i", across, np.linalg.solve(among, across.T)))
        expected = mean + math.sqrt(0.2 + math.log(0.4 * 30)) * deviation
        assert model.upper_bounds(asked, 6.0, pending, pending_times) == pytest.approx(expected, abs=1e-9)


def test_the_kernel_is_a_more_probable_one_than_its_neighbours():
    """By the likelihood of SciPy's normal distribution and the prior, a factor of 4.5 for a standard deviation."""
    rng = np.random.default_rng(1)
    points, times = rng.random((40, 1)), np.repeat(np.arange(8.0), 5)
    rewards = np.sin(9 * points[:, 0]) + 0.1 * rng.standard_normal(40)
    chosen = TimeVaryingGP(points, times, rewards)._kernel
    values = (rewards - rewards.mean()) / rewards.std()

    def score(length, forgetting, noise):
        gaps = np.abs(times[:, None] - times[None])
        covariance = np.exp(-0.5 * ((points - points.T) / length) ** 2) * (1 - forgetting) ** (gaps / 2)
        likelihood = multivariate_normal(cov=covariance + noise * np.eye(40)).logpdf(values)
        return likelihood - 0.5 * sum(
            (math.log(one) / 1.5) ** 2 for one in (length / 0.4, forgetting / 0.1, noise / 0.1)
        )

    (length,), best = chosen.lengths, score(*chosen.lengths, chosen.forgetting, chosen.noise)
    assert best >= max(score(other, chosen.forgetting, chosen.noise) for other in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2))
    assert best >= max(score(length, other, chosen.noise) for other in (0.01, 0.03, 0.1, 0.3))
    assert best >= max(score(length, chosen.forgetting, other) for other in (0.001, 0.01, 0.1, 0.3, 1.0))
    assert length < 0.4  # a sine of one and a half periods


def test_what_was_good_long_ago_matters_less_than_what_was_good_of_late():
    grid = np.linspace(0, 1, 21)[:, None]
    points, times, rewards = [], [], []
    for time in range(20):
        for x in (0.1, 0.3, 0.5, 0.7, 0.9):
            points.append([x])
            times.append(float(time))
            rewards.append(-((x - time / 20) ** 2))
    model = TimeVaryingGP(np.array(points), np.array(times), np.array(rewards))
    nobody = np.empty((0, 1)), np.empty(0)
    best_at = [float(grid[np.argmax(model.upper_bounds(grid, time, *nobody)), 0]) for time in (2.0, 10.0, 19.0)]
    assert best_at == pytest.approx([0.1, 0.5, 0.95], abs=0.1)


def test_rewards_that_are_all_alike_are_no_trouble():
    model = TimeVaryingGP(np.zeros((4, 2)), np.zeros(4), np.full(4, 1e9))
    assert np.isfinite(model.upper_bounds(np.ones((3, 2)), 1.0, np.empty((0, 2)), np.empty(0))).all()


# -- what it is told ------------------------------------------------------------------------------------------------


def test_the_model_learns_gains_per_epoch_with_their_time_and_the_loss_before(desk_with, lessons):
    desk = population(desk_with)
    for first, second in ((1.5, 0.5), (1.2, 0.2), (1.9, 1.1), (1.3, 0.3), (1.4, 0.4)):
        train_interval(desk, desk.start().trial, first, second)
    assert [desk.start().trial for _ in range(3)] == [0, 1, 5]
    (points, times, gains), questions = lessons[0]
    # A first interval begins with its first epoch, which is half an interval.
    assert numbers(times) == [0.5] * 5
    # Far out, a gain is moved to Tukey's fence: the quartiles of the others are both 1.
    assert numbers(gains) == pytest.approx([1.0] * 5)
    # So is a loss: 1.9 counts as 1.5 + 1.5 · (1.5 - 1.3) = 1.8; then 1.2 is 0 and 1.8 is 1.
    assert numbers(points[:, 1]) == pytest.approx([0.5, 0.0, 1.0, 1 / 6, 1 / 3])
    rates = [1 + math.log10(desk.trials[trial].params["rate"]) / 4 for trial in range(5)]
    assert numbers(points[:, 0]) == pytest.approx(rates)
    # It is asked for the parent's epoch and loss; the two members that train are pending with theirs.
    for asked, time, pending, pending_times in questions:
        assert set(numbers(asked[:, 1])) == {0.0}
        assert time == 1.0
        assert numbers(pending) == pytest.approx(np.array([[rates[0], 0.0], [rates[1], 0.0]]))
        assert numbers(pending_times) == [1.0, 1.0]
    # A child's first interval begins with its parent's loss.
    train_interval(desk, 5, 0.3, 0.1)
    train_interval(desk, 0, 0.5, 0.6)
    assert desk.start().trial == 3
    assert desk.start().trial == 4
    desk.fail(4)
    desk.start()
    (points, times, gains), _ = lessons[-1]
    assert numbers(times[5:]) == [1.0, 1.0, 1.0]
    assert numbers(points[5:, 1]) == pytest.approx([0.0, (0.5 - 0.2) / (1.9 - 0.2), (0.4 - 0.2) / (1.9 - 0.2)])
    # 0 to 1 halves the gain to (0.2 - 0.1) / 2; trial 0 lost (0.6 - 0.5) / 2; the failed one counts as that.
    assert numbers(gains[5:]) == pytest.approx([0.05, -0.05, -0.05])


def test_a_failed_first_interval_counts_as_the_worst_gain_with_a_loss_that_nobody_knows(desk_with, lessons):
    desk = population(desk_with)
    for second in (0.5, 0.4, 0.3, 0.2):
        train_interval(desk, desk.start().trial, 1.0, second)
    desk.start()
    desk.report(4, 1, float("nan"))
    desk.finish(4)
    desk.start()
    (points, times, gains), _ = lessons[0]
    assert numbers(gains) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.5])
    assert (points[4, 1], times[4]) == (0.5, 0.0)


def test_until_there_are_enough_intervals_a_number_is_perturbed_as_in_pbt(desk_with, lessons):
    desk = population(desk_with, population=2, interval=1, resample=0.0)
    for value in (0.5, 0.9):
        trial = desk.start().trial
        desk.report(trial, 1, value)  # an interval of one epoch has no loss to begin with
        desk.checkpoint(trial, 1)
        desk.pause(trial)
    desk.start()
    child = desk.start()
    assert child.params["rate"] / desk.trials[0].params["rate"] == pytest.approx(0.8) or child.params[
        "rate"
    ] / desk.trials[0].params["rate"] == pytest.approx(1.2)
    assert lessons == []


def test_numbers_are_modelled_and_choices_perturbed(desk_with, lessons):
    desk = population(desk_with, explore=["rate", "batch"], resample=0.0)
    for second in (0.5, 0.2, 0.9, 0.3, 0.4):
        train_interval(desk, desk.start().trial, 1.5, second)
    child, parent = desk.start(3), desk.trials[1].params
    assert len(lessons) == 1
    assert child.params["batch"] in {16: (16, 32), 32: (16, 64), 64: (32, 64)}[parent["batch"]]
    assert child.params["rate"] / parent["rate"] not in (pytest.approx(0.8), pytest.approx(1.2))
    assert child.params["units"] == parent["units"]


def test_the_model_sees_the_latest_intervals_only(spec_with, lessons, monkeypatch):
    monkeypatch.setattr(pb2, "_WINDOW", 10)
    train_to_the_end(study_of(spec_with, "pb2", 1, interval=1))
    assert max(len(times) for (_, times, _), _ in lessons) == 10
    assert min(lessons[-1][0][1]) > 20


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"explore": ["batch"]}, r"explore of sampler pb2 must name at least one number; got \['batch'\]: name one"),
        ({"explore": []}, r"explore of sampler pb2 must name at least one number; got \[\]"),
        ({"interval": 9}, "option interval of sampler pb2 must be at most max_epochs; got 9 with max_epochs 8"),
        ({"kappa": 1}, "options of sampler pb2 may be population, interval, .*, factors, rules; got 'kappa'"),
    ],
)
def test_bad_options_are_refused_with_the_rule(desk_with, options, line):
    with pytest.raises(ValueError, match=line):
        population(desk_with, **options)


# -- what it is worth -----------------------------------------------------------------------------------------------


def study_of(spec_with, sampler, seed, **options):
    if sampler == "random":
        return spec_with(sampler="random", space=LINE, max_epochs=40, budget={"epochs": 160}, seed=seed)
    options = {"population": 4, "interval": 4} | options
    return spec_with(
        sampler=sampler, pruner="", sampler_options=options, space=LINE, max_epochs=40, budget={"epochs": 160},
        seed=seed,
    )  # fmt: skip


def train_to_the_end(spec, workers=4):
    """Train models whose loss falls by up to a quarter per epoch; the best rate goes from 0.1 to 0.0001 meanwhile.

    A model's loss is in its checkpoint: a child begins with its parent's.
    """
    search, losses, busy = Search(spec), {}, []
    search.begin()
    while True:
        while len(busy) < workers and (assignment := search.next()):
            source = assignment.checkpoint_of
            busy.append((assignment, assignment.from_epoch, 1.0 if source is None else losses[source]))
        if not busy:
            search.conclude()
            return search.history
        assignment, epoch, loss = busy.pop(0)
        trial, attempt, epoch = assignment.trial, assignment.attempt, epoch + 1
        best = -1 - 3 * epoch / 40
        loss *= 1 - 0.25 * math.exp(-(((math.log10(assignment.params["rate"]) - best) / 0.7) ** 2))
        verdict = search.report(trial, attempt, Measurement(epoch=epoch, metrics={"val_loss": loss}))
        if verdict.action is Action.CONTINUE:
            busy.append((assignment, epoch, loss))
            continue
        losses[trial] = loss
        search.checkpointed(trial, attempt, epoch, "somewhere")
        (search.paused if verdict.action is Action.PAUSE else search.finish)(trial, attempt)


def test_it_follows_a_best_rate_that_changes_better_than_random_search(spec_with):
    def best(sampler, seed):
        history = train_to_the_end(study_of(spec_with, sampler, seed))
        assert history.ledger.epochs == 160
        return history.value_of(history.best)

    medians = {sampler: median(best(sampler, seed) for seed in range(10)) for sampler in ("random", "pbt", "pb2")}
    # Of 20 seeds: random 0.011, pbt 0.0085, pb2 0.0014.
    assert medians["pb2"] < 0.4 * medians["random"], medians
