"""Events as a database would give them back."""

import json

from bandstand.store.reading.event_log import replayed
from bandstand.store.rows.event_rows import event_from, measured_from, rows_from
from bandstand.trials.events import Measured
from bandstand.trials.history import History

__all__ = ["as_replayed", "read_back", "through_the_rows"]


def through_the_rows(spec, events):
    """All events of a study as a database would give them back, JSON included."""
    history = History(spec)
    for event in events:
        history.apply(event)
    return read_back(enumerate(events, start=1), history)


def read_back(batch, history):
    """A batch of (seq, event), already applied to `history`, written to rows and read again."""
    rows = rows_from(1, batch, history)
    told = [(row["seq"], event_from(row["kind"], _through_json(row["data"]))) for row in rows.events]
    epochs = [
        (row["seq"], measured_from(row | {"metrics": _through_json(row["metrics"])})) for row in rows.measurements
    ]
    return [event for _, event in sorted(told + epochs, key=lambda pair: pair[0])]


def _through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def as_replayed(events):
    """Events as a coordinator is given them that takes up a study: with what decisions depend on, and no more."""
    return [replayed(event) if isinstance(event, Measured) else event for event in events]
