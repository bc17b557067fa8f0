"""What several places say is said alike: a strategy's name, and the help of an option that several commands have."""

from __future__ import annotations

import pytest
import typer

from bandstand.commands.cli import app
from bandstand.store.store import Store
from bandstand.strategies import strategy_name
from bandstand.study.comparison_plan import make_plan
from tests.service.store.written_study import make_spec, train

PAIRS = [("tpe", "asha", "tpe + asha"), ("tpe", "none", "tpe"), ("pbt", "", "pbt")]


@pytest.mark.parametrize(("sampler", "pruner", "name"), PAIRS)
def test_a_study_its_entry_in_the_list_and_its_arm_in_a_comparison_name_the_strategy_alike(
    store: Store, sampler: str, pruner: str, name: str
) -> None:
    spec = make_spec(sampler=sampler, pruner=pruner)
    train(store, spec, 1)
    (entry,) = store.studies(names=[spec.name])
    assert entry.strategy == spec.strategy_name == strategy_name(sampler, pruner) == name
    space = {"rate": {"type": "float", "low": 0.1, "high": 1.0, "log": True}}
    plan = make_plan("compared", make_spec(sampler=sampler, pruner=pruner, space=space), [], 1)
    assert plan.arms[0].label == name.replace(" ", "")


def test_every_command_with_trainers_explains_workers_in_the_same_words() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    helps = {
        name: option.help
        for name, command in commands.items()
        for option in command.params
        if "--workers" in option.opts and name != "simulate"  # whose workers are virtual
    }
    assert {"run", "demo", "replay", "compare", "submit", "submit-comparison"} <= set(helps)
    assert len(set(helps.values())) == 1, helps


def test_the_help_tells_the_default_of_workers_once_and_a_replays_is_one() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = {
        name: (option.default, option.show_default)
        for name, command in commands.items()
        for option in command.params
        if "--workers" in option.opts and name != "simulate"
    }
    assert shown.pop("replay") == (1, True)
    assert set(shown.values()) == {(None, "as many as fit")}


def test_the_help_has_every_command_in_one_of_four_panels() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    panels = list(dict.fromkeys(command.rich_help_panel for command in commands.values()))
    assert panels == ["Starting", "Looking", "Changing", "The server"]
