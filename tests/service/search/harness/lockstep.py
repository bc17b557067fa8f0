"""A Search and others restored from its events on the way, asked the same questions."""

from operator import attrgetter

from bandstand.search.protocol import StaleAttemptError
from bandstand.search.search import Search
from tests.service.search.harness.stored_events import as_replayed, read_back

__all__ = ["Lockstep"]

PARTS = ("allocation", "data", "models", "requests")


class Lockstep:
    """A Search, and others restored from its events on the way; whatever is asked, all must answer alike."""

    def __init__(self, spec, *, at_every_event=False, keep=3):
        """Nothing has happened yet.

        Args:
            spec: the study.
            at_every_event: split after everything that records an event; it is asked what it wants next at once.
            keep: how many copies there are at most.
        """
        self.splits = 0
        self._spec = spec
        self._at_every_event = at_every_event
        self._keep = keep
        self._members = [Search(spec)]
        self._stored = []
        self._not_stored = []
        self._outbox = []

    @property
    def history(self):
        return self._members[0].history

    @property
    def done(self):
        return self._members[0].done

    def split(self):
        """Restore one more from the events so far; the oldest copies go."""
        batch = enumerate(self._not_stored, start=len(self._stored) + 1)
        self._stored += as_replayed(read_back(batch, self.history))
        self._not_stored = []
        copies = [*self._members[1:], Search.restore(self._spec, self._stored)]
        self._members = [self._members[0], *copies[-self._keep :]]
        self.splits += 1

    def take_events(self):
        events, self._outbox = self._outbox, []
        return events

    def __getattr__(self, name):
        return _Part(self, name) if name in PARTS else self.asking(name)

    def asking(self, name):
        """What asks all of them: a method's name, with its part before it where a Search has it there."""

        def ask_all(*arguments, **options):
            answer, events = self._ask_each(self._members, name, *arguments, **options)
            self._not_stored += events
            self._outbox += events
            if events and self._at_every_event:
                self.split()
                self._ask_each([self._members[0], self._members[-1]], "allocation.wanted")
            if isinstance(answer, StaleAttemptError):
                raise answer
            return answer

        return ask_all

    def _ask_each(self, members, name, *arguments, **options):
        """What these members answer, and the events that they record."""
        answers = [self._ask(member, name, *arguments, **options) for member in members]
        for answer in answers[1:]:
            assert repr(answer) == repr(answers[0]), f"a restored search answers {name} differently"
        events = [member.take_events() for member in members]
        for batch in events[1:]:
            assert repr(batch) == repr(events[0]), f"a restored search records other events on {name}"
        return answers[0], events[0]

    @staticmethod
    def _ask(member, name, *arguments, **options):
        try:
            return attrgetter(name)(member)(*arguments, **options)
        except StaleAttemptError as error:
            return error


class _Part:
    """One part of all of them."""

    def __init__(self, lockstep, name):
        self._lockstep = lockstep
        self._name = name

    def __getattr__(self, name):
        return self._lockstep.asking(f"{self._name}.{name}")
