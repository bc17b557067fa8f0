"""Events as a database would give them back."""

import json

from service.event_rows import event_from, measured_from, rows_from
from service.history import History

__all__ = ["through_the_rows"]


def through_the_rows(spec, events):
    """The events as a database would give them back, JSON included."""
    history = History(spec)
    for event in events:
        history.apply(event)
    rows = rows_from(1, enumerate(events, start=1), history)
    told = [(row["seq"], event_from(row["kind"], _through_json(row["data"]))) for row in rows.events]
    epochs = [
        (row["seq"], measured_from(row | {"metrics": _through_json(row["metrics"])})) for row in rows.measurements
    ]
    return [event for _, event in sorted(told + epochs, key=lambda pair: pair[0])]


def _through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))
