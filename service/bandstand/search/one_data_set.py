"""Whether all trainers of a study have the same data.

Knows fingerprints, and what the user is told of differences. Must not know how data are loaded.
"""

from __future__ import annotations

from bandstand.search.state import SearchState
from bandstand.trials.data_fingerprint import DataPrint, difference_between, refusal_of, words_on
from bandstand.trials.events import DataSeen

__all__ = ["OneDataSet"]


class OneDataSet:
    """The data of one study."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    def see(self, data: DataPrint) -> None:
        """These are the data that the study trains on; once in its life."""
        self._state.record(DataSeen(splits=data))

    def compare(self, data: DataPrint, *, may_differ: bool = False) -> str | None:
        """Hold a trainer's data against those that the study trains on. Differences of rounding are noted.

        Args:
            data: as the trainer has loaded them.
            may_differ: whether other data are taken, and noted.

        Returns:
            Why the trainer is to be given no work; None where it may.
        """
        assert self._state.history.data is not None, "the first trainer's data come first"
        difference = difference_between(self._state.history.data, data)
        if difference.rounded:
            self._state.note(
                f"{words_on(difference.rounded)} between trainers only by rounding, which other processors or versions "
                "can cause"
            )
        if difference.other and may_differ:
            self._state.note(
                f"the trials did not all have the same data: {words_on(difference.other)} between a trainer and the "
                "first trainer of the study. The study continued because this was allowed, so values of trials and the "
                "test result may not be comparable"
            )
        return refusal_of(difference) if difference.other and not may_differ else None
