"""Tokens: known by their secret, kept only as a digest, ended at once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bandstand.errors import InputError
from bandstand.store import tables
from bandstand.store.accounts import Role


def test_a_token_is_found_by_its_text_alone_and_its_secret_is_stored_nowhere(store):
    token = store.accounts.create_token("ada", Role.SUBMITTER, days=1)
    found = store.accounts.find(token.text)
    assert (found.user_name, found.role) == ("ada", Role.SUBMITTER)
    secret = token.text.split("_", 2)[2]
    with store.database.connection() as connection:
        rows = [str(row) for row in connection.execute(sa.select(tables.token))]
    assert not any(secret in row for row in rows)
    assert secret not in repr(token)


@pytest.mark.parametrize(
    "change", [lambda text: text + "x", lambda text: text[:-1], lambda text: "x" + text, lambda _: ""]
)
def test_a_text_that_is_nearly_a_token_is_none(store, change):
    token = store.accounts.create_token("ada", Role.ADMIN, days=1)
    assert store.accounts.find(change(token.text)) is None


def test_an_expired_token_is_none(store):
    token = store.accounts.create_token("ada", Role.VIEWER, days=1)
    with store.database.connection() as connection, connection.begin():
        past = sa.text("clock_timestamp() - interval '1 second'")
        connection.execute(sa.update(tables.token).where(tables.token.c.id == token.record.id).values(expires_at=past))
    assert store.accounts.find(token.text) is None
    assert store.accounts.find_by_id(token.record.id) is None


def test_revoking_a_user_ends_all_of_their_tokens(store):
    tokens = [store.accounts.create_token("carol", Role.VIEWER, days=1) for _ in range(2)]
    other = store.accounts.create_token("dan", Role.VIEWER, days=1)
    assert len(store.accounts.revoke("carol")) == 2
    assert [store.accounts.find(token.text) for token in tokens] == [None, None]
    assert store.accounts.find(other.text) is not None
    with pytest.raises(InputError, match="no token"):
        store.accounts.revoke("carol")


@pytest.mark.parametrize(("user", "days"), [("", 1), ("a b", 1), ("ada", 0), ("ada", 4000)])
def test_a_token_for_nobody_or_for_no_time_is_refused(store, user, days):
    with pytest.raises(InputError, match="must"):
        store.accounts.create_token(user, Role.VIEWER, days=days)


def test_all_servers_sign_with_one_key(store):
    assert store.accounts.signing_key() == store.accounts.signing_key()


def test_roles_are_ordered_and_named():
    assert Role.VIEWER < Role.SUBMITTER < Role.ADMIN
    assert Role.named(str(Role.ADMIN)) is Role.ADMIN
    with pytest.raises(InputError, match="viewer, submitter, admin; got 'root'"):
        Role.named("root")
