"""Who is let in, and what they may."""

from __future__ import annotations

import time

import pytest

from bandstand.store.accounts import Role
from bandstand.store.store import Store


def test_whoever_has_a_token_is_known_by_it(client_of):
    answer = client_of("ada", Role.VIEWER).get("/me")
    assert answer.status_code == 200
    assert (answer.json()["user"], answer.json()["role"]) == ("ada", "viewer")


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer bandstand_0123456789ab_x"])
def test_without_a_good_token_one_is_told_how_to_get_one(nobody, header):
    answer = nobody.get("/me", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "bandstand token create" in answer.json()["detail"]


def test_a_revoked_token_is_refused_within_a_second_and_a_later_one_of_the_same_user_is_not(client_of, store: Store):
    client = client_of("eve", Role.ADMIN)
    assert client.get("/me").status_code == 200
    store.accounts.revoke("eve")
    deadline = time.monotonic() + 1.0
    while client.get("/me").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client_of("eve", Role.VIEWER).get("/me").status_code == 200
    assert client.get("/me").status_code == 401


def test_a_token_that_was_wrong_is_looked_up_again(client_of, store: Store):
    wrong = store.accounts.create_token("mallory", Role.VIEWER, days=1)
    client = client_of("mallory", Role.VIEWER)
    with_wrong = {"Authorization": f"Bearer {wrong.text[:-1]}"}
    assert client.get("/me", headers=with_wrong).status_code == 401
    assert client.get("/me").json()["role"] == "viewer"
    assert client.get("/me", headers=with_wrong).status_code == 401


def test_a_server_says_that_it_lives_and_that_it_can_work_to_everybody(nobody):
    assert nobody.get("/healthz").json() == {"status": "ok"}
    assert nobody.get("/readyz").json() == {"status": "ok"}


def test_errors_of_every_kind_are_problems(nobody):
    for answer in (nobody.get("/nowhere"), nobody.post("/healthz")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
