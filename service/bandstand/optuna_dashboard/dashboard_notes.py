"""What reviewers in Optuna Dashboard see of a report: its answer as the study's note, its main figures among the plots.

Knows the dashboard's functions for it. Must not know what a report says or how a figure is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bandstand.extras import missing_packages
from bandstand.report.drawing.drawing import Drawing
from bandstand.store.optuna_mirror import open_storage

__all__ = ["DashboardNotes"]

MARK = "*Written by Bandstand. If you write a note of your own here, Bandstand keeps it.*"
OLD_MARK = "*Written by Bandstand; a note of yours in its place stays.*"
"""As earlier versions wrote it."""
LARGEST = 60_000
"""Characters of a figure: Optuna keeps it in rows of 2,045, and the dashboard loads all of a study's."""


class DashboardNotes:
    """What is written into the Optuna studies of one database."""

    def __init__(self, url: str):
        """`url` is a secret."""
        self._storage = open_storage(url)

    def put(self, study: str, sentences: Sequence[str], figures: Mapping[str, Drawing] | None = None) -> list[str]:
        """Put sentences and figures into an Optuna study.

        A note that somebody has written in the dashboard is left as it is; one of ours is replaced. Nothing is done
        where the study is not in Optuna's tables any more, nor where Optuna Dashboard is not installed.

        Args:
            study: its name.
            sentences: plain text; shown as such, though the dashboard reads Markdown.
            figures: name -> figure; those above 60,000 characters are left out.

        Returns:
            The names of the figures that were put there.
        """
        if missing_packages(["optuna-dashboard"]):
            return []
        import optuna
        from optuna_dashboard import get_note, save_note, save_plotly_graph_object

        from bandstand.report.forms.markdown_form import escaped

        try:
            found = optuna.load_study(study_name=study, storage=self._storage)
        except KeyError:
            return []
        note = get_note(found)
        if not note.strip() or MARK in note or OLD_MARK in note:
            save_note(found, "\n\n".join([*map(escaped, sentences), MARK]))
        shown = []
        for name, drawing in (figures or {}).items():
            if len(drawing.figure.to_json()) <= LARGEST:
                save_plotly_graph_object(found, drawing.figure, graph_object_id=f"bandstand-{name}")
                shown.append(name)
        return shown
