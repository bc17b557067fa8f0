"""`bandstand run` and `bandstand replay`: running a study on this machine or the cluster that the environment names.

Knows the commands' options and what they say at the end. Must not know how a study is run. Every command imports what
it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from bandstand.commands.options import CodeMayDiffer, DataMayDiffer, StudyName, Trial, Workers, workers_option
from bandstand.errors import INTERRUPTED

__all__ = ["replay", "run"]

StudyFile = Annotated[
    str,
    typer.Argument(
        help="A study file (study.toml), a Python object (train.py:study), a built-in study, or, with --resume, "
        "the name of a stored study."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a stored study; never create a new one.")]
ReplayName = Annotated[str | None, typer.Option("--as", help="Name of the new study. Default: NAME-replay.")]
OneWorker = Annotated[int | None, workers_option(default=True)]


def run(
    file: StudyFile,
    workers: Workers = None,
    resume: Resume = False,
    data_may_differ: DataMayDiffer = False,
    code_may_differ: CodeMayDiffer = False,
) -> int:
    """Run a study. Ctrl-C pauses it; the same command continues it."""
    from bandstand.commands.work.running import find_to_run, say_end, was_over
    from bandstand.running.extras_for_training import require_training
    from bandstand.running.live_display import make_display
    from bandstand.running.run import RunOptions, run_studies

    require_training("`bandstand run`")
    store, found = find_to_run(file, resume)
    options = RunOptions(
        workers=workers,
        code_path=found.code_path,
        data_may_differ=data_may_differ,
        code_may_differ=code_may_differ,
    )
    again = f"`bandstand run {shlex.quote(file)}`"
    done_before = was_over(store, found.spec.name)
    try:
        outcomes = run_studies(store, [found.spec], options, make_display(store))
    except KeyboardInterrupt:
        typer.echo(f"paused; {again} continues where it stopped", err=True)
        return INTERRUPTED
    outcome = outcomes.get(found.spec.name)
    if outcome is None:
        typer.echo(f"stopped before it began; {again} starts it", err=True)
        return INTERRUPTED
    return say_end(store, found.spec.name, outcome, again, done_before=done_before)


def replay(
    name: StudyName,
    trial: Trial = None,
    as_name: ReplayName = None,
    workers: OneWorker = 1,
    data_may_differ: DataMayDiffer = False,
    code_may_differ: CodeMayDiffer = False,
) -> int:
    """Train the best model of a study again, from new random weights.

    The replay is a study of its own.
    In each epoch it uses the params that the first training used in that epoch.
    """
    from bandstand.running.extras_for_training import require_training
    from bandstand.running.live_display import make_display
    from bandstand.running.messages import StudyOutcome
    from bandstand.running.run import RunOptions, run_studies
    from bandstand.store.reading.params_by_epoch import replay_spec
    from bandstand.store.store import Store
    from bandstand.study.find_study import find_study

    require_training("`bandstand replay`")
    store = Store.open()
    spec = replay_spec(store.params_by_epoch(name, trial), as_name or f"{name}-replay")
    code_path = find_study(name, store.spec).code_path
    options = RunOptions(
        workers=workers, code_path=code_path, data_may_differ=data_may_differ, code_may_differ=code_may_differ
    )
    try:
        outcomes = run_studies(store, [spec], options, make_display(store))
    except KeyboardInterrupt:
        typer.echo("paused; the same command continues where it stopped", err=True)
        return INTERRUPTED
    outcome = outcomes.get(spec.name, StudyOutcome(state="stopped", reason="before it began"))
    if outcome.state != "finished":
        typer.echo(f"bandstand: the replay is {outcome.state}: {outcome.reason}", err=True)
        return 1
    for replayed in store.params_by_epoch(spec.name).replays:
        if replayed.replay == spec.name:
            typer.echo(replayed.sentence)
    return 0
