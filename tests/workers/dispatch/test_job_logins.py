"""What a server says at its start of the logins of jobs."""

from __future__ import annotations

import logging

from bandstand_workers.dispatch.command import find_logins


def test_a_server_whose_jobs_can_have_no_logins_says_why_in_one_line(store, caplog) -> None:
    """The embedded database, that is: it asks nobody for a password."""
    with caplog.at_level(logging.INFO, "bandstand_workers.dispatch"):
        assert not find_logins(store).are_possible
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("bandstand_workers")]
    assert told.startswith("jobs have the server's own database login")
    assert "set BANDSTAND_DATABASE_URL to one that asks for it" in told
    assert "\n" not in told
