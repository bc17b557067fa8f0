"""The audit of a finished study in SQL and on disk: nothing is lost, counted twice or left over.

Knows tables and files. Must not import what writes them: rules are said again here, in SQL where they can be.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

__all__ = ["audit_connection", "audit_study", "check_journal"]

_OUT_OF_STEP = {
    "an epoch is missing or counted twice": """
        SELECT trial, epoch FROM (
          SELECT m.trial, m.epoch,
                 m.epoch - t.from_epoch - row_number() OVER (PARTITION BY m.trial ORDER BY m.epoch) AS off
          FROM bandstand_store.measurement m
          JOIN bandstand_store.trial t ON t.study_id = m.study_id AND t.number = m.trial
          WHERE m.study_id = %(id)s) e
        WHERE off <> 0""",
    "a trial has other epochs than were measured": """
        SELECT t.number, t.epochs, count(m.epoch) FROM bandstand_store.trial t
        LEFT JOIN bandstand_store.measurement m ON m.study_id = t.study_id AND m.trial = t.number
        WHERE t.study_id = %(id)s GROUP BY t.number, t.epochs, t.from_epoch
        HAVING t.epochs - t.from_epoch <> count(m.epoch)""",
    "an event's number is missing or there twice": """
        SELECT seq FROM (
          SELECT seq, seq - row_number() OVER (ORDER BY seq) AS off FROM (
            SELECT seq FROM bandstand_store.event WHERE study_id = %(id)s
            UNION ALL SELECT seq FROM bandstand_store.measurement WHERE study_id = %(id)s) every) numbered
        WHERE off <> 0 LIMIT 3""",
    "a trial has not ended": """
        SELECT number, state FROM bandstand_store.trial
        WHERE study_id = %(id)s AND state NOT IN ('complete', 'pruned')""",
    "a trial did not end exactly once": """
        SELECT t.number, count(e.seq) FROM bandstand_store.trial t
        LEFT JOIN bandstand_store.event e ON e.study_id = t.study_id AND e.trial = t.number AND e.kind = 'ended'
        WHERE t.study_id = %(id)s GROUP BY t.number HAVING count(e.seq) <> 1""",
    "trials are not numbered without a gap": """
        SELECT count(*), max(number) FROM bandstand_store.trial WHERE study_id = %(id)s
        HAVING count(*) <> max(number) + 1""",
    "an attempt has not ended": """
        SELECT trial, attempt FROM bandstand_store.attempt WHERE study_id = %(id)s AND ended_at IS NULL""",
    "attempts and their beginnings differ": """
        SELECT trial, attempt, count(*) FROM (
          SELECT trial, attempt FROM bandstand_store.attempt WHERE study_id = %(id)s
          UNION ALL
          SELECT trial, (data ->> 'attempt')::int FROM bandstand_store.event
          WHERE study_id = %(id)s AND kind = 'started') both_of
        GROUP BY trial, attempt HAVING count(*) <> 2""",
    "somebody has a lease": "SELECT holder FROM bandstand_store.lease WHERE study_id = %(id)s",
    "somebody holds the lock of a lease": """
        SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651733612 AND objid = %(id)s""",
    "a checkpoint is remembered": "SELECT trial, epoch, uri FROM bandstand_store.checkpoint WHERE study_id = %(id)s",
    "time used differs from its events": """
        SELECT s.wall_seconds, sum((e.data ->> 'wall_seconds')::float) FROM bandstand_store.study s
        JOIN bandstand_store.event e ON e.study_id = s.id AND e.kind = 'spent'
        WHERE s.id = %(id)s
        GROUP BY s.id HAVING abs(s.wall_seconds - sum((e.data ->> 'wall_seconds')::float)) > 1e-6""",
    "a trial that began from a checkpoint began from one that nobody wrote": """
        SELECT s.trial, s.data ->> 'from_epoch' FROM bandstand_store.event s
        JOIN bandstand_store.trial t ON t.study_id = s.study_id AND t.number = s.trial
        WHERE s.study_id = %(id)s AND s.kind = 'started' AND (s.data ->> 'from_epoch')::int > 0 AND NOT EXISTS (
          SELECT FROM bandstand_store.event c WHERE c.study_id = s.study_id AND c.kind = 'checkpointed'
          AND c.seq < s.seq AND c.trial IN (t.number, t.parent) AND c.data ->> 'epoch' = s.data ->> 'from_epoch')""",
    "Optuna has another state of a trial": """
        SELECT t.number, t.state, o.state FROM bandstand_store.trial t
        JOIN bandstand_store.study s ON s.id = t.study_id
        LEFT JOIN trials o ON o.study_id = s.optuna_study_id AND o.number = t.number
        WHERE s.id = %(id)s AND lower(o.state::text) IS DISTINCT FROM t.state""",
    "Optuna has another number of trials": """
        SELECT count(*) FROM trials o JOIN bandstand_store.study s ON s.optuna_study_id = o.study_id WHERE s.id = %(id)s
        HAVING count(*) <> (SELECT count(*) FROM bandstand_store.trial WHERE study_id = %(id)s)""",
    "Optuna has another value of a trial": """
        SELECT t.number, t.value, v.value FROM bandstand_store.trial t
        JOIN bandstand_store.study s ON s.id = t.study_id
        JOIN trials o ON o.study_id = s.optuna_study_id AND o.number = t.number
        LEFT JOIN trial_values v ON v.trial_id = o.trial_id
        WHERE s.id = %(id)s AND t.value IS DISTINCT FROM v.value""",
    "Optuna has other values of epochs": """
        SELECT coalesce(m.trial, i.number), coalesce(m.epoch, i.step), m.value, i.value FROM (
          SELECT trial, epoch, value FROM bandstand_store.measurement WHERE study_id = %(id)s) m
        FULL JOIN (
          SELECT o.number, v.step, v.intermediate_value AS value FROM trial_intermediate_values v
          JOIN trials o ON o.trial_id = v.trial_id
          JOIN bandstand_store.study s ON s.optuna_study_id = o.study_id WHERE s.id = %(id)s) i
        ON i.number = m.trial AND i.step = m.epoch WHERE m.value IS DISTINCT FROM i.value""",
}
"""What is wrong, and the rows that show it: there must be none."""


def audit_study(url: str, name: str, epochs: int, folder: Path) -> list[str]:
    """What is wrong with a study that has ended, a line each.

    Args:
        url: of the database.
        name: the study.
        epochs: its budget.
        folder: of all studies' checkpoints and models.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return audit_connection(connection, name, epochs, folder)


def audit_connection(connection: psycopg.Connection[dict[str, Any]], name: str, epochs: int, folder: Path) -> list[str]:
    """As `audit_study`, by the eyes of this connection."""
    study = connection.execute("SELECT * FROM bandstand_store.study WHERE name = %s", (name,)).fetchone()
    if study is None:
        return [f"{name}: it is not there"]
    found = []
    if study["state"] != "finished":
        found.append(f"its state is {study['state']}: {study['reason']}")
    for what, query in _OUT_OF_STEP.items():
        rows = connection.execute(query.encode(), {"id": study["id"]}).fetchall()
        if rows:
            found.append(f"{what}: {[tuple(row.values()) for row in rows[:3]]}")
    measured = "SELECT count(*) AS epochs FROM bandstand_store.measurement WHERE study_id = %s"
    spent = connection.execute(measured.encode(), (study["id"],)).fetchone()
    assert spent is not None
    is_over = "budget is used up" in study["reason"]
    if spent["epochs"] > epochs or (is_over and spent["epochs"] != epochs):
        found.append(f"{spent['epochs']} epochs were measured; the budget is {epochs}")
    found += _files(study, folder)
    if study["tested_uri"] != study["model_uri"] or study["test_looks"] != 1:
        found.append(f"the test data were looked at {study['test_looks']} times")
    return [f"{name}: {line}" for line in found]


def _files(study: dict[str, Any], folder: Path) -> list[str]:
    """Of an ended study there is the model, and nothing else."""
    own = [one for one in folder.glob(f"study-{study['id']}*") if re.fullmatch(r"study-\d+(-[0-9a-f]{8})?", one.name)]
    there = {str(path) for one in own for path in one.rglob("*") if path.is_file()}
    model = study["model_uri"]
    if model is None:
        return ["it has no model", *(["files are left: " + ", ".join(sorted(there)[:4])] if there else [])]
    found = [] if model in there else [f"its model {model} is not there"]
    left = sorted(there - {model})
    if left:
        found.append(f"{len(left)} files are left: {', '.join(str(Path(one).relative_to(folder)) for one in left[:4])}")
    return found


def check_journal(url: str, name: str, journal: Path) -> list[str]:
    """The trainers' own journal, which no restart can embellish, against the attempts that are stored."""
    trained: Counter[tuple[str, int]] = Counter()
    for line in journal.read_text().splitlines():
        key, _, epoch = line.partition("\t")
        if epoch.isdecimal():  # a killed trainer may have left half a line
            trained[key, int(epoch)] += 1
    query = """
        SELECT t.params, m.epoch, (
          SELECT count(*) FROM bandstand_store.attempt a
          WHERE a.study_id = t.study_id AND a.trial = t.number AND a.from_epoch < m.epoch) AS attempts
        FROM bandstand_store.trial t JOIN bandstand_store.study s ON s.id = t.study_id
        JOIN bandstand_store.measurement m ON m.study_id = t.study_id AND m.trial = t.number WHERE s.name = %s
    """
    could_have: Counter[tuple[str, int]] = Counter()
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for row in connection.execute(query.encode(), (name,)):
            could_have[repr(sorted(row["params"].items())), row["epoch"]] += row["attempts"]
    return [
        f"{name}: params {key}, epoch {epoch} were trained {trained[key, epoch]} times in {attempts} attempts"
        for (key, epoch), attempts in could_have.items()
        if not 1 <= trained[key, epoch] <= attempts
    ]
