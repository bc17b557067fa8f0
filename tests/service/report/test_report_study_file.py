"""The study file in a report gives the same study again."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandstand.problem.budget import Budget
from bandstand.problem.objective import Objective
from bandstand.report.spec_as_toml import toml_from
from bandstand.study.study_spec import Resources, StudySpec, study_spec_from
from bandstand_spaces import SEARCH_SPACES, Categorical, Float, Int, SearchSpace

NESTED = SearchSpace(
    {
        "layers": Int(1, 3),
        "batch_size": Categorical([32, 64]),
        "optimizer": Categorical(
            ["sgd", "adam"],
            branches={
                "sgd": {
                    "momentum": Float(0.0, 0.99),
                    "schedule": Categorical(
                        ["none", "step"],
                        branches={"step": {"drop": Float(0.1, 0.9), "flag": Categorical([True, False])}},
                    ),
                },
                "adam": {"beta_1": Float(0.5, 0.99)},
            },
        ),
        "rate": Float(1e-5, 0.1, log=True),
        "mixed": Categorical([1, 2.5, "x y", "yes"], branches={2.5: {"dotted": Float(0, 1, step=0.25)}}),
    }
)
REQUIRED = {"name": "mine", "model": "train:build", "data": "train:load", "max_epochs": 9}


def read_back(spec):
    return study_spec_from(tomllib.loads(toml_from(spec)), "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"space": NESTED, "budget": Budget(epochs=100)},
        {"space": NESTED, "batch_size": "batch_size", "budget": Budget(trials=3, wall_seconds=0.1 + 0.2)},
        {
            "space": SEARCH_SPACES["digits_mlp"],
            "budget": Budget(gpu_hours=1.5),
            "resources": Resources(gpus=0.25, cpus=2),
        },
        {"space": NESTED, "budget": Budget(epochs=9), "pruner_options": {"min_epochs": 2, "reduction_factor": 4}},
        {
            "space": NESTED,
            "budget": Budget(epochs=9),
            "callbacks": ["train:one", "pack.age:two"],
            "checkpoint_every": 2,
        },
        {"space": SearchSpace({"units": Int(1, 2)}), "sampler": "grid", "pruner": "none"},
        {"space": NESTED, "budget": Budget(epochs=9), "class_weight": {0: 1.0, 7: 2.5}, "validation_split": 0.2},
        {"space": NESTED, "budget": Budget(epochs=9), "class_weight": "balanced"},
        {
            "space": NESTED,
            "budget": Budget(epochs=9),
            "objective": Objective(metric="val_accuracy", direction="maximize", epoch="last"),
            "notes": 'Says "hello"\nand \\ goes on\tin Größe, 日本語 \x01 </pre>',
            "seed": 2**63 - 1,
        },
    ],
)
def test_a_study_comes_back_from_its_file(changes):
    spec = StudySpec(**(REQUIRED | changes))
    assert read_back(spec) == spec
    assert [flat.name for flat in read_back(spec).space.flat()] == [flat.name for flat in spec.space.flat()]


@given(
    notes=st.text(st.characters(exclude_categories=["Cs"])),
    metric=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    seconds=st.floats(1e-9, 1e12),
    seed=st.integers(0, 2**63 - 1),
    space=st.sampled_from([NESTED, *SEARCH_SPACES.values()]),
)
def test_any_notes_metric_and_numbers_come_back(notes, metric, seconds, seed, space):
    spec = StudySpec(
        **REQUIRED, space=space, objective=Objective(metric=metric, direction="minimize"), notes=notes, seed=seed,
        budget=Budget(wall_seconds=seconds),
    )  # fmt: skip
    assert read_back(spec) == spec


def test_defaults_are_written_out_so_that_the_file_keeps_its_meaning():
    text = toml_from(StudySpec(**REQUIRED, space=NESTED, budget=Budget(epochs=9)))
    assert {"sampler", "pruner", "batch_size", "seed", "max_attempts", "resources"} <= set(tomllib.loads(text))
