"""How often the diagnosis is right: `python -m tests.service.report.curves.confusion [--write]`.

With --write the tables go into docs/explanation/diagnosis.md.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bandstand.report.curves.diagnosis import Diagnosis, Kind, Logged, Reference, diagnose
from tests.service.report.curves.constructed import Constructed, Split, constructed
from tests.service.report.curves.recorded import Recorded, recorded

__all__ = ["PAGE", "Confusion", "confusions", "judge_constructed", "judge_recorded", "written"]

PAGE = Path(__file__).parents[4] / "docs/explanation/diagnosis.md"
_BEGIN, _END = "<!-- tables begin -->", "<!-- tables end -->"
_VERDICTS = [kind for kind in Kind if kind is not Kind.NO_TRAINING_CURVE]


class Confusion(NamedTuple):
    """Counts of one set of curves."""

    title: str
    counts: Counter[tuple[str, Kind]]  # what it is, what is said
    right: int
    wrong: int  # clear, and not what it is
    unclear: int  # said not to be clear though it is of a kind

    @property
    def lines(self) -> list[str]:
        """As Markdown."""
        truths = [kind for kind in _VERDICTS if any(truth == kind for truth, _ in self.counts)]
        total = sum(self.counts.values())
        return [
            f"**{self.title}**: {self.right} of {total} right, {self.wrong} clear but wrong, {self.unclear} not clear "
            "though of a kind.",
            "",
            f"| it is ↓, said → | {' | '.join(_VERDICTS)} |",
            f"| --- |{' --- |' * len(_VERDICTS)}",
            *(
                f"| {truth} | {' | '.join(str(self.counts[str(truth), said] or '') for said in _VERDICTS)} |"
                for truth in truths
            ),
        ]


def judge_constructed(curves: Constructed) -> Diagnosis:
    """What is said of constructed curves."""
    objective, loss = _logged(curves.objective), None if curves.loss is None else _logged(curves.loss)
    return diagnose(range(1, len(objective.train) + 1), objective, loss)


def _logged(split: Split) -> Logged:
    reference = None
    if split.start is not None and split.best_train is not None and split.best_validation is not None:
        reference = Reference(split.start, split.best_train, split.best_validation)
    sign = -1.0 if split.name == "val_accuracy" else 1.0
    return Logged(split.name, sign, split.train.tolist(), split.validation.tolist(), reference)


def judge_recorded(training: Recorded) -> Diagnosis:
    """What is said of a recorded training."""
    return diagnose(training.epochs, training.objective, training.loss)


def confusions() -> list[Confusion]:
    """Of the constructed curves and of the recorded ones, each the tuned part and the held-out part."""
    sets = [
        _count(title, [((curves.kind,), judge_constructed(curves).kind) for curves in constructed(held_out=held_out)])
        for title, held_out in (("Constructed, looked at", False), ("Constructed, held out", True))
    ]
    for title, held_out in (("Recorded, looked at", False), ("Recorded, held out", True)):
        trainings = recorded(held_out=held_out)
        sets.append(_count(title, [(training.kinds, judge_recorded(training).kind) for training in trainings]))
    return sets


def _count(title: str, found: Iterable[tuple[tuple[str, ...], Kind]]) -> Confusion:
    """A verdict is right where it is any of the kinds; it is then counted with that one, else with the first."""
    counts: Counter[tuple[str, Kind]] = Counter((said if said in kinds else kinds[0], said) for kinds, said in found)
    right = sum(count for (truth, said), count in counts.items() if truth == said)
    unclear = sum(count for (truth, said), count in counts.items() if truth != said == Kind.NOT_CLEAR)
    return Confusion(title, counts, right, sum(counts.values()) - right - unclear, unclear)


def written(page: str) -> str:
    """The page with the tables as they are now."""
    tables = "\n\n".join("\n".join(confusion.lines) for confusion in confusions())
    pattern = f"{re.escape(_BEGIN)}.*{re.escape(_END)}"
    return re.sub(pattern, lambda _: f"{_BEGIN}\n\n{tables}\n\n{_END}", page, flags=re.DOTALL)


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.report.curves.confusion")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/explanation/{PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    for confusion in confusions():
        print("\n".join(confusion.lines), end="\n\n")


if __name__ == "__main__":
    main()
