"""The demonstration: one small study on real data, beside random search at the same number of epochs."""

from __future__ import annotations

from pathlib import Path

import typer

from bandstand.errors import StudyFailedError
from bandstand.private_folders import home_folder
from bandstand.report.text import counted
from bandstand.running.live_display import make_display
from bandstand.running.run import RunOptions, run_studies
from bandstand.store.store import Store
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec

__all__ = ["run_demo"]

_EPOCHS = 270
"""Ten full trainings of 27 epochs each."""


def run_demo(workers: int | None) -> Path:
    """Run the demonstration, or go on with one that was interrupted.

    Returns:
        The report.

    Raises:
        StudyFailedError: one of its studies failed.
        KeyboardInterrupt: after the running trials were paused.
    """
    store = Store.open()
    ours, random = _specs(store)
    typer.echo(
        f"The demonstration tunes a small network on handwritten digits: {_EPOCHS} epochs with {ours.strategy_name}, "
        f"and {_EPOCHS} with random search."
    )
    outcomes = run_studies(store, [ours, random], RunOptions(workers=workers), make_display(store))
    for name, outcome in outcomes.items():
        if outcome.state != "finished":
            raise StudyFailedError(f"study {name!r} is {outcome.state}: {outcome.reason}")
    _compare(store, ours, random)
    from bandstand.report.forms.page import write_report

    folder = home_folder("reports")
    path = folder / f"{ours.name}.html"
    write_report(store.record(ours.name), path, [store.record(random.name)])
    typer.echo(
        f"Look around with `bandstand list`, `bandstand show {ours.name}` and `bandstand dashboard`. The report:"
    )
    return path


def _specs(store: Store) -> tuple[StudySpec, StudySpec]:
    """The two studies, under the first number that no finished demonstration has."""
    base = find_study("digits_mlp").spec
    finished = {study.name for study in store.studies() if study.state == "finished"}
    number = 1
    while True:
        name = "demo" if number == 1 else f"demo-{number}"
        if f"{name}-random" not in finished:
            break
        number += 1
    # Another number is another seed, so that a second demonstration is not a replay of the first.
    shared = {"seed": base.seed + number - 1, "budget": {"epochs": _EPOCHS}}
    settings = base.model_dump(mode="json") | shared
    ours = StudySpec.model_validate(settings | {"name": name})
    random = {
        "name": f"{name}-random",
        "sampler": "random",
        "sampler_options": {},
        "pruner": "none",
        "pruner_options": {},
    }
    return ours, StudySpec.model_validate(settings | random)


def _compare(store: Store, ours: StudySpec, random: StudySpec) -> None:
    typer.echo("")
    metric = ours.objective.metric
    for spec in (ours, random):
        record = store.record(spec.name)
        assert record.best is not None
        test = (record.best_test_metrics or {}).get(metric.removeprefix("val_"))
        tested = "" if test is None else f", on the test data {test:.4f}"
        strategy = spec.strategy_name
        typer.echo(
            f"{strategy:12} best {metric} {record.best.value:.4f} ({ours.objective.better}){tested}; "
            f"{counted(len(record.trials), 'trial')}, {counted(int(record.trials['epochs'].sum()), 'epoch')}, "
            f"{record.wall_seconds:.0f} s"
        )
    typer.echo(
        "One run of each strategy does not show which strategy is better in general. A strategy with more trials"
    )
    typer.echo("takes longer for the same number of epochs, because it builds more models.")
