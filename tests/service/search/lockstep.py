"""A Search and others restored from its events on the way, asked the same questions."""

from service.search import Search, StaleAttemptError
from tests.service.search.stored_events import through_the_rows

__all__ = ["Lockstep"]


class Lockstep:
    """A Search, and others restored from its events on the way; whatever is asked, all must answer alike."""

    def __init__(self, spec):
        self._spec = spec
        self._members = [Search(spec)]
        self._events = []
        self._outbox = []

    @property
    def history(self):
        return self._members[0].history

    @property
    def done(self):
        return self._members[0].done

    def split(self, *, keep=3):
        """Restore one more from the events so far; the oldest copies go."""
        copy = Search.restore(self._spec, through_the_rows(self._spec, self._events))
        self._members = [self._members[0], *self._members[1:][-(keep - 1) :], copy]

    def take_events(self):
        events, self._outbox = self._outbox, []
        return events

    def __getattr__(self, name):
        def ask_all(*arguments, **options):
            answers = [self._ask(member, name, *arguments, **options) for member in self._members]
            for answer in answers[1:]:
                assert repr(answer) == repr(answers[0]), f"a restored search answers {name} differently"
            events = [member.take_events() for member in self._members]
            for batch in events[1:]:
                assert repr(batch) == repr(events[0]), f"a restored search records other events on {name}"
            self._events += events[0]
            self._outbox += events[0]
            if isinstance(answers[0], StaleAttemptError):
                raise answers[0]
            return answers[0]

        return ask_all

    @staticmethod
    def _ask(member, name, *arguments, **options):
        try:
            return getattr(member, name)(*arguments, **options)
        except StaleAttemptError as error:
            return error
