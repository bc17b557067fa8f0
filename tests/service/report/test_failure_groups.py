"""Failures are grouped by kind, with the parameter that tells failed trials from others, and what to do."""

from __future__ import annotations

import math
from typing import Any

from bandstand.report.findings.answer import failures_table
from bandstand.report.findings.failure_groups import failure_groups


def params_of(rate: float) -> dict[str, Any]:
    return {"learning_rate": rate, "optimizer": "adam"}


def test_diverged_trials_are_one_group_with_the_range_in_which_it_happened(make_record: Any, run: Any) -> None:
    runs = [
        run([math.nan], "failed", "diverged", f"not finite in epoch {epoch}", params=params_of(rate))
        for epoch, rate in ((1, 0.5), (2, 0.09), (3, 0.8))
    ]
    runs += [run([1.0, 0.5], params=params_of(rate)) for rate in (0.001, 0.05)]
    (group,) = failure_groups(make_record(runs))
    assert group.trials == (0, 1, 2)
    assert group.words == "not finite (NaN), for example: not finite in epoch 1"
    assert group.advice == (
        "learning_rate is 0.09 to 0.8 in the trials that failed so, and at most 0.05 in the others: move the upper end "
        "of its range. Lower the upper end of the learning rate, clip gradients (clipnorm), or scale the inputs."
    )


def test_where_no_parameter_tells_them_apart_the_remedy_stands_alone(make_record: Any, run: Any) -> None:
    runs = [run([], "failed", "out_of_memory", "too large", params=params_of(0.1))] * 2
    runs += [run([1.0], params=params_of(0.1))]
    (group,) = failure_groups(make_record(runs))
    assert group.words == "too large"
    assert group.advice == (
        "Search smaller models or batches, or raise resources.memory_gb if the machine has more."
    )  # fmt: skip


def test_exceptions_are_grouped_by_their_message_and_have_no_advice(make_record: Any, run: Any) -> None:
    runs = [run([], "failed", "exception", message) for message in ("a", "b", "a")] + [run([1.0])]
    groups = failure_groups(make_record(runs))
    assert [(group.words, group.trials, group.advice) for group in groups] == [("a", (0, 2), None), ("b", (1,), None)]
    table = failures_table(make_record(runs))
    assert table is not None
    assert len(table.header) == 3
