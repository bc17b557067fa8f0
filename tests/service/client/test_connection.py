"""Requests: repeated where it is safe, errors as ours, and the token never told."""

from __future__ import annotations

import pytest

from bandstand.client import Client
from bandstand.client.connection import Connection
from bandstand.errors import (
    InputError,
    NotAllowedError,
    NotLoggedInError,
    ServerAnswerError,
    ServerMistakeError,
    ServerUnreachableError,
    StudyInUseError,
    StudyNameTakenError,
    StudyNotFoundError,
    TooManyRequestsError,
)
from tests.service.client.servers import TOKEN, ScriptedServer, free_port, hang_up, problem

OK = (200, {"Content-Type": "application/json"}, b"{}")


def connection(server: ScriptedServer, retry_seconds: float = 20.0) -> Connection:
    return Connection(server.url, TOKEN, retry_seconds)


def test_what_may_be_asked_twice_is_asked_again_when_the_server_is_away():
    with ScriptedServer([problem(503), hang_up, problem(502), OK]) as server:
        assert connection(server).get("/x") == {}
        assert len(server.requests) == 4


def test_a_change_that_may_have_happened_is_not_asked_for_again():
    for first in (hang_up, problem(503)):
        with ScriptedServer([first, OK]) as server:
            with pytest.raises(ServerUnreachableError):
                connection(server).post("/x")
            assert len(server.requests) == 1


def test_a_change_that_is_the_same_twice_is_asked_for_again():
    with ScriptedServer([hang_up, OK]) as server:
        assert connection(server).post("/studies", {"a": 1, "b": None}, repeatable=True) == {}
        assert [body for *_, body in server.requests] == [b'{"a":1}'] * 2


def test_whoever_asks_too_often_waits_as_told(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    busy = problem(429)
    with ScriptedServer([(busy[0], busy[1] | {"Retry-After": "7"}, busy[2]), OK]) as server:
        assert connection(server).post("/x") == {}
    assert slept == [7.0]


def test_patience_ends():
    with ScriptedServer([problem(429)]) as server, pytest.raises(TooManyRequestsError):
        connection(server, retry_seconds=0.6).get("/x")
    assert 1 < len(server.requests) < 6


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(401), NotLoggedInError),
        ((401, {"WWW-Authenticate": "Bearer"}, b""), NotLoggedInError),  # as an answer to HEAD has no body
        ((401, {"WWW-Authenticate": "Basic"}, b""), ServerAnswerError),
        (problem(403), NotAllowedError),
        (problem(404), StudyNotFoundError),
        (problem(409), StudyInUseError),
        (problem(422), InputError),
        (problem(500), ServerMistakeError),
        ((200, {}, b"<html>a proxy's page</html>"), ServerAnswerError),
        ((404, {"Content-Type": "text/html"}, b"nothing"), ServerAnswerError),
        ((302, {"Location": "https://elsewhere.example/"}, b""), ServerAnswerError),
    ],
)
def test_answers_are_errors_of_ours_in_one_line_without_the_token(answer, error):
    with ScriptedServer([answer]) as server, pytest.raises(error) as caught:
        connection(server).get("/x")
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(server.requests) == 1
    assert server.requests[0][2]["Authorization"] == f"Bearer {TOKEN}"


def test_a_name_that_is_taken_comes_with_the_differences():
    answer = problem(409, differences=["seed: 1 here, 0 stored"])
    with ScriptedServer([answer]) as server, pytest.raises(StudyNameTakenError) as caught:
        connection(server).post("/studies", {})
    assert caught.value.differences == ("seed: 1 here, 0 stored",)


def test_a_server_that_was_never_there_is_given_up_in_seconds():
    with pytest.raises(ServerUnreachableError, match=r"does not \(.*refused.*\): check the URL"):
        Connection(f"http://127.0.0.1:{free_port()}", None, 60.0).get("/x")


@pytest.mark.parametrize("url", ["bandstand.example", "ftp://x", "https://", ""])
def test_an_address_must_be_one(url):
    with pytest.raises(InputError, match=r"must begin with http:// or https://, such as https://bandstand\.example"):
        Connection(url, None, 1.0)


def test_an_address_with_a_password_is_refused_and_not_told():
    with pytest.raises(InputError, match="give the token separately") as caught:
        Client("https://ada:hunter2@bandstand.example")
    assert "hunter2" not in str(caught.value)


def test_nothing_shows_the_token():
    client = Client("https://bandstand.example", token=TOKEN)
    assert TOKEN not in repr(client) + repr(client._connection) + str(vars(client))
    with pytest.raises(InputError, match="exactly what `bandstand token create` printed") as caught:
        Client("https://bandstand.example", token=f"{TOKEN}\n")
    assert TOKEN not in str(caught.value)
