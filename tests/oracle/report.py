"""What a run of the oracle says: failures with the way to see them again, and how often each feature came up.

Knows verdicts. Must not know how they came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.oracle.run import Verdict

__all__ = ["feature_table", "line_for", "summary"]


def line_for(verdict: Verdict, seed: int, backend: str) -> str:
    """What became of a program; an empty text where all is well."""
    number = verdict.program.number
    if verdict.invalid:
        return f"{number}: invalid: {verdict.invalid.strip().splitlines()[-1][:200]}"
    if not verdict.failures:
        return ""
    trial, failure = verdict.failures[0]
    got = failure.got.strip().splitlines()[-1][:300]
    return (
        f"{number}: {failure.kind}: trial {trial}, {failure.where}: plain Keras {failure.expected[:120]}, got {got}\n"
        f"    {'; '.join(sorted(verdict.program.features))}\n"
        f"    python -m tests.oracle --backend {backend} --seed {seed} --only {number} --show"
    )


def feature_table(verdicts: Sequence[Verdict]) -> str:
    """Each feature: in how many programs it is, and how many of these fail."""
    seen, failed = Counter[str](), Counter[str]()
    for verdict in verdicts:
        seen.update(verdict.program.features)
        if verdict.failures:
            failed.update(verdict.program.features)
    rows = sorted(seen)
    width = max(map(len, rows), default=0)
    return "\n".join(f"{name:{width}}  {seen[name]:4}  {failed[name]:4}" for name in rows)


def summary(verdicts: Iterable[Verdict]) -> str:
    """How many programs of each fate."""
    fates = Counter(verdict.fate for verdict in verdicts)
    return ", ".join(f"{count} {fate}" for fate, count in fates.most_common())
