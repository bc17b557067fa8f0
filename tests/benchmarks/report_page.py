"""A study's report at scale: bytes of the page, seconds to write it, and seconds until a browser has drawn it.

A made-up study over the MNIST space: 10,000 trials of 50 epochs, beside one of 20 trials. Opening is from the
navigation's start until every figure is drawn, in headless Chromium, the least of the repeats. Aims: 5 MB, and 3 s to
open.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bandstand.report.forms.page import write_report
from tests.benchmarks.measuring.results import Section
from tests.service.report.browser import open_page, require_chromium
from tests.service.report.conftest import synthetic_study

__all__ = ["main"]

TRIALS = (20, 10_000)
EPOCHS = 50
AIM_BYTES = 5_000_000
AIM_SECONDS = 3.0


def main(repeats: int, peers: bool) -> Section:
    """Size and times of each page."""
    require_chromium()
    lines = ["| trials | page, MB | written in, s | opened in, s | aims | reached |", "| --- " * 6 + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for trials in TRIALS:
            path = Path(folder) / f"{trials}.html"
            record = synthetic_study(trials=trials, max_epochs=EPOCHS, prune=False)
            began = time.perf_counter()
            write_report(record, path, [record])
            written = time.perf_counter() - began
            opened = min(open_page(path)[0] for _ in range(repeats)) / 1000
            size = path.stat().st_size
            reached = "yes" if size < AIM_BYTES and opened < AIM_SECONDS else "no"
            aims = f"{AIM_BYTES / 1e6:g} MB, {AIM_SECONDS:g} s"
            lines.append(f"| {trials:,} | {size / 1e6:.2f} | {written:.1f} | {opened:.2f} | {aims} | {reached} |")
    return Section(title="Reports, written and opened", lines=lines)
