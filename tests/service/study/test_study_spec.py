"""What a user reads when a study's settings break a rule: one line with the rule, the value and the way out."""

import contextlib
import functools
import pickle
import sys
import time
import types

import pytest

from bandstand.errors import InputError
from bandstand.problem.budget import Budget
from bandstand.search.search import Search
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.study.references import InteractiveReference
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.trials.events import Noticed
from bandstand_spaces import SEARCH_SPACES

SETTINGS = {
    "name": "mine",
    "model": "train:build",
    "data": "train:load",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "max_epochs": 9,
    "budget": {"epochs": 100},
}
LEFT_OUT = object()


def build(params):
    return params


class Builder:
    def build(self, params):
        return params


def message_for(**changes):
    settings = {name: value for name, value in (SETTINGS | changes).items() if value is not LEFT_OUT}
    with pytest.raises(InputError) as error:
        study_spec_from(settings, "study.toml")
    return str(error.value)


NAME_RULE = "name must be 1 to 100 printable characters without spaces at the ends; got "
REFERENCE_RULE = "must be written module:function, such as train:build; got "

MESSAGES = [
    ({"sampler": "tp"}, f"sampler must be one of {', '.join([*SAMPLERS, *STRATEGIES])}; got 'tp': did you mean tpe?"),
    ({"pruner": "ash"}, f"pruner must be one of {', '.join(PRUNERS)}; got 'ash': did you mean asha?"),
    ({"sampler": "annealing"}, f"sampler must be one of {', '.join([*SAMPLERS, *STRATEGIES])}; got 'annealing'"),
    ({"max_epochs": "many"}, "max_epochs must be a whole number; got 'many'"),
    ({"bugdet": {"epochs": 3}}, "there is no setting bugdet; did you mean budget?"),
    ({"budget": {"epoch": 3}}, "there is no setting budget.epoch; did you mean epochs?"),
    ({"objective": {"direktion": "maximize"}}, "there is no setting objective.direktion; did you mean direction?"),
    ({"resources": {"gpu": 1}}, "there is no setting resources.gpu; did you mean gpus?"),
    (
        {"budget": {"zzz": 3}},
        "there is no setting budget.zzz; known settings are epochs, trials, wall_seconds, gpu_hours",
    ),
    (
        {"space": {"x": {"type": "float", "low": 2, "high": 1}}},
        "space: x: low must be < high; got low=2.0, high=1.0; swap them",
    ),
    ({"space": "digits"}, f"space must be a table of parameters or one of {', '.join(SEARCH_SPACES)}; got 'digits'"),
    ({"space": 3}, "space must be a table of parameters or a name; got int"),
    ({"max_epochs": 0}, "max_epochs must be greater than or equal to 1; got 0"),
    (
        {"batch_size": "batch"},
        "batch_size must be a number, or the name of a parameter that every trial has and whose values are whole "
        "numbers from 1; got 'batch'",
    ),
    (
        {"batch_size": "x"},
        "batch_size must be a number, or the name of a parameter that every trial has and whose values are whole "
        "numbers from 1; got 'x'",
    ),
    ({"model": LEFT_OUT}, "model is missing; every study needs this setting"),
    ({"model": LEFT_OUT, "data": LEFT_OUT}, "model is missing; every study needs this setting (and 1 more error)"),
    ({"model": "train.build"}, f"model {REFERENCE_RULE}'train.build'"),
    ({"data": "train:"}, f"data {REFERENCE_RULE}'train:'"),
    ({"data": "my-code:load"}, f"data {REFERENCE_RULE}'my-code:load'"),
    ({"callbacks": ["train"]}, f"callbacks.0 {REFERENCE_RULE}'train'"),
    ({"model": 3}, "model must be a function or its name as module:function, because each trial calls it; got int: "
        "return it from a function"),
    (
        {"budget": {"gpu_hours": 1}},
        "budget.gpu_hours needs trainers with GPUs; got resources.gpus = 0: set resources.gpus, for example to 1",
    ),
    (
        {"budget": LEFT_OUT},
        "budget must limit at least one of epochs, trials, wall_seconds, gpu_hours; got none: "
        "write [budget] epochs = 200",
    ),
    ({"budget": {"epochs": 0}}, "budget.epochs must be greater than or equal to 1; got 0"),
    ({"budget": {"wall_seconds": -1}}, "budget.wall_seconds must be greater than 0; got -1"),
    ({"name": ""}, f"{NAME_RULE}''"),
    ({"name": " mine"}, f"{NAME_RULE}' mine'"),
    ({"name": "mi\nne"}, f"{NAME_RULE}'mi\\nne'"),
    ({"name": "m" * 101}, f"{NAME_RULE}'{'m' * 101}'"),
    (
        {"sampler": "tpe", "sampler_options": {"startup": 3}},
        "options of sampler tpe may be startup_trials, ei_candidates, most_trials; got 'startup': did you mean "
        "startup_trials?",
    ),
    (
        {"sampler": "tpe", "sampler_options": {"startup_trails": 3}},
        "options of sampler tpe may be startup_trials, ei_candidates, most_trials; got 'startup_trails': did you mean "
        "startup_trials?",
    ),
    (
        {"sampler": "tpe", "sampler_options": {"startup_trials": 0}},
        "option startup_trials of sampler tpe must be greater than or equal to 1; got 0",
    ),
    (
        {"sampler": "tpe", "sampler_options": {"startup_trials": "many"}},
        "option startup_trials of sampler tpe must be a whole number; got 'many'",
    ),
    ({"sampler": "random", "sampler_options": {"n": 3}}, "sampler random has no options; got 'n': leave it out"),
    ({"pruner": "none", "pruner_options": {"n": 3}}, "pruner none has no options; got 'n': leave it out"),
    (
        {"sampler": "pbt", "sampler_options": {"factors": [0.8]}},
        "option factors of sampler pbt must have two values; got [0.8]",
    ),
    (
        {"sampler": "pbt", "sampler_options": {"factors": [0.8, 1, 1.2]}},
        "option factors of sampler pbt must be a list of at most 2; got [0.8, 1, 1.2]",
    ),
    (
        {"sampler": "pbt", "sampler_options": {"factors": "wide"}},
        "option factors of sampler pbt must be a list; got 'wide'",
    ),
    ({"sampler": "replay"}, "sampler replay needs option segments; it is missing: add it to the options"),
    (
        {"sampler": "replay", "sampler_options": {"segments": []}},
        "option segments of sampler replay must be a list of at least 1; got []",
    ),
    (
        {"sampler": "replay", "sampler_options": {"segments": [{"epochs": 3}]}},
        "option segments.0 of sampler replay must have params; got {'epochs': 3}: add it",
    ),
    (
        {"sampler": "replay", "sampler_options": {"segments": [{"epochs": 3, "params": {}, "epoch": 2}]}},
        "option segments.0 of sampler replay must not have epoch; got 2: leave it out",
    ),
    (
        {"pruner_options": {"min_epochs": "late"}},
        "option min_epochs of pruner asha must be a whole number or 'auto'; got 'late'",
    ),
    (
        {"pruner_options": {"reduction_factor": 1}},
        "option reduction_factor of pruner asha must be greater than or equal to 2; got 1",
    ),
    *(
        (
            {"pruner": pruner, "pruner_options": {"min_epochs": 10}},
            f"option min_epochs of pruner {pruner} must be at most max_epochs; got 10 with max_epochs 9",
        )
        for pruner in ("asha", "hyperband", "median", "percentile", "patience", "threshold")
    ),
    (
        {"pruner": "percentile", "pruner_options": {"share": 3}},
        "options of pruner percentile may be startup_trials, min_epochs, percentile; got 'share'",
    ),
    (
        {"pruner": "percentile", "pruner_options": {"percentile": 100}},
        "option percentile of pruner percentile must be less than 100; got 100",
    ),
    (
        {"pruner": "percentile", "pruner_options": {"percentile": 0.25}},
        "option percentile of pruner percentile must be in percent, at least 1, such as 25 for the best quarter; "
        "got 0.25",
    ),
    (
        {"pruner": "median", "pruner_options": {"percentile": 50}},
        "options of pruner median may be startup_trials, min_epochs; got 'percentile'",
    ),
    (
        {"pruner": "threshold"},
        "pruner threshold needs option lower or upper; got neither: give the worst val_loss that a trial may have, or "
        "use pruner none",
    ),
    (
        {"pruner": "threshold", "pruner_options": {"lower": 2, "upper": 1}},
        "option lower of pruner threshold must be below upper; got lower 2 with upper 1: swap them",
    ),
    (
        {"pruner": "threshold", "pruner_options": {"upper": float("inf")}},
        "option upper of pruner threshold must be a finite number; got inf",
    ),
    (
        {"pruner": "patience", "pruner_options": {"epochs": 3}},
        "options of pruner patience may be patience, min_delta, min_epochs; got 'epochs': did you mean min_epochs?",
    ),
    (
        {"pruner": "patience", "pruner_options": {"min_delta": -1}},
        "option min_delta of pruner patience must be greater than or equal to 0; got -1",
    ),
    (
        {"sampler": "zoom", "sampler_options": {"shrink": 1}},
        "option shrink of sampler zoom must be less than 1; got 1",
    ),
    (
        {"sampler": "zoom", "sampler_options": {"rounds": 1}},
        "options of sampler zoom may be round_trials, shrink; got 'rounds': did you mean round_trials?",
    ),
    (
        {"sampler": "coordinate", "sampler_options": {"values": 1}},
        "option values of sampler coordinate must be greater than or equal to 2; got 1",
    ),
    (
        {"sampler": "coordinate", "sampler_options": {"steps": 1}},
        "options of sampler coordinate may be startup_trials, values, resolutions; got 'steps'",
    ),
    (
        {"sampler": "grid"},
        "sampler grid needs a finite space; parameter x is continuous: give it a step, set option points "
        'to a number or to "auto", or use sampler random or tpe',
    ),
    (
        {"sampler": "grid", "space": {name: {"type": "int", "low": 1, "high": 2000} for name in "xy"}},
        "sampler grid visits at most 1,000,000 points; the space has 4,000,000: use larger steps or "
        "fewer points, or sampler random or tpe",
    ),
    ({"objective": {"direction": "max"}}, "objective.direction must be 'minimize' or 'maximize'; got 'max'"),
    (
        {"resources": {"gpus": 1.5}},
        "resources.gpus must be a whole number if it is above 1, because Ray shares single GPUs only; got 1.5",
    ),
    ({"seed": -1}, "seed must be greater than or equal to 0; got -1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), MESSAGES, ids=[message[:60] for _, message in MESSAGES])
def test_a_broken_rule_is_said_in_one_line(changes, message):
    assert message_for(**changes) == f"study.toml: {message}"


@pytest.mark.parametrize("changes", [changes for changes, _ in MESSAGES] + [{"space": []}, {"budget": 3}, {"notes": 1}])
def test_no_message_shows_the_machinery(changes):
    message = message_for(**changes)
    assert "\n" not in message
    assert not [word for word in ("pydantic", "Traceback", "ValidationError", "Value error") if word in message]


def test_a_function_becomes_a_reference_that_workers_can_import():
    spec = study_spec_from(SETTINGS | {"model": build, "callbacks": [build]}, "study.py")
    assert spec.model == f"{__name__}:build"
    assert spec.callbacks == (f"{__name__}:build",)


def test_a_function_of_the_running_script_is_known_by_its_file(monkeypatch):
    script = types.ModuleType("__main__")
    script.__file__ = "/somewhere/train.py"
    script.build = build
    monkeypatch.setitem(sys.modules, "__main__", script)
    monkeypatch.setattr(build, "__module__", "__main__")
    assert study_spec_from(SETTINGS | {"model": build}, "train.py").model == "train:build"


def test_a_function_that_no_file_holds_is_kept_beside_its_name_and_refused_as_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    monkeypatch.setattr(build, "__module__", "__main__")
    spec = study_spec_from(SETTINGS | {"model": build}, "a notebook")
    assert isinstance(spec.model, InteractiveReference)
    assert spec.model == "__main__:build"
    assert spec.model.function is build
    assert study_spec_from(spec.model_dump(), "a copy") == spec
    assert type(pickle.loads(pickle.dumps(spec.model))) is str
    with pytest.raises(InputError, match="model must be in a module if the study is read from text"):
        study_spec_from(spec.model_dump(mode="json"), "the stored one")


def test_a_function_that_workers_cannot_import_is_kept_beside_its_name():
    def inner(params):
        return params

    for function in (inner, lambda params: params, Builder.build, functools.partial(build, units=3)):
        spec = study_spec_from(SETTINGS | {"model": function}, "train.py")
        assert isinstance(spec.model, InteractiveReference)
        assert spec.model.function is function


def test_a_built_in_space_may_be_named():
    spec = study_spec_from(SETTINGS | {"space": "digits_mlp", "batch_size": "batch_size"}, "study.toml")
    assert "units" in spec.space.parameters
    assert spec.batch_size_for({"batch_size": 64}) == 64
    assert study_spec_from(SETTINGS, "study.toml").batch_size_for({}) == 32


def test_a_grid_needs_no_budget():
    space = {"x": {"type": "int", "low": 0, "high": 3}}
    spec = study_spec_from(SETTINGS | {"sampler": "grid", "space": space, "budget": {}}, "study.toml")
    assert str(spec.budget) == "the whole grid"


def test_a_spec_survives_json_and_cannot_be_changed():
    spec = study_spec_from(SETTINGS, "study.toml")
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1


def test_differences_name_each_setting_that_differs_and_see_the_order_of_parameters():
    mine = study_spec_from(SETTINGS | {"space": dict.fromkeys("ab", SETTINGS["space"]["x"])}, "a")
    other = study_spec_from(SETTINGS | {"space": dict.fromkeys("ba", SETTINGS["space"]["x"]), "seed": 3}, "b")
    assert mine.differences(mine) == []
    assert [line.split(":")[0] for line in mine.differences(other)] == ["space", "seed"]
    assert "seed: 0 here, 3 stored" in mine.differences(other)


def test_a_budget_is_said_in_words():
    assert str(Budget(epochs=200, wall_seconds=1.5)) == "200 epochs, 1.5 s"
    assert str(Budget(epochs=1, trials=1, gpu_hours=1)) == "1 epoch, 1 trial, 1 GPU hour"


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": "units"}, {"sampler": "grid", "sampler_options": {"points": 10**9}}],
    ids=["batch size", "points of a grid"],
)
def test_a_spec_with_a_huge_range_is_checked_without_going_through_it(changes) -> None:
    begin = time.monotonic()
    space = {"units": {"type": "int", "low": 1, "high": 10**12}}
    settings = {"name": "huge", "model": "a:b", "data": "a:c", "space": space, "max_epochs": 3, "budget": {"epochs": 9}}
    with contextlib.suppress(InputError):
        study_spec_from(settings | changes, "a test")
    assert time.monotonic() - begin < 2


def test_a_batch_size_of_the_space_that_decides_nothing_is_told(spec_with, small_space):
    space = {**small_space.to_dict(), "batch_size": {"type": "categorical", "choices": [16, 32]}}
    search = Search(spec_with(space=space, batch_size=64))
    search.begin()
    (told,) = [event.message for event in search.take_events() if isinstance(event, Noticed)]
    assert told == (
        "the space has a parameter batch_size, but the study's setting batch_size = 64 decides the batches; "
        'write batch_size = "batch_size" to search it'
    )
    assert spec_with(space=space, batch_size="batch_size").notices() == []
    assert spec_with(batch_size=64).notices() == []
