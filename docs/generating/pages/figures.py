"""The figures of a study's report and of a comparison's, from their registries."""

from __future__ import annotations

from bandstand.comparison.figures import COMPARISON_FIGURES
from bandstand.report.figures import REPORTS
from docs.generating.markdown import code, page, table

__all__ = ["make"]


def make() -> str:
    """The page."""
    return page(
        "Figures",
        "`bandstand figure NAME FIGURE -o FILE` draws one figure of a study or of a comparison. The file ends with "
        "`.html`, `.png` or `.svg`. `bandstand report` puts all of them on a page.",
        "## Of a study",
        table(("figure", "shows", "needs"), ((code(name), each.title, each.needs) for name, each in REPORTS.items())),
        "## Of a comparison",
        table(("figure", "shows"), ((code(name), each.title) for name, each in COMPARISON_FIGURES.items())),
    )
