"""A client that does not say what it wants is let go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from bandstand.commands.work import prompt_requests
from bandstand.commands.work.serving import Transport, server_config


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(prompt_requests, "_HEAD_SECONDS", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(PlainTextResponse("here"), Transport(tls=None)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[:2]
    server.should_exit = True
    thread.join(60)


@pytest.mark.parametrize("begun", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.parametrize("served_before", [False, True])
def test_a_head_that_is_not_finished_ends_its_connection(
    address: tuple[str, int], begun: bytes, served_before: bool
) -> None:
    with socket.create_connection(address, timeout=60) as client:
        if served_before:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")
        client.sendall(begun)
        while client.recv(10_000):
            pass  # the rest of an answer


def test_a_client_that_says_its_head_in_pieces_is_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=60) as client:
        for piece in (b"GET / HT", b"TP/1.1\r\nHost", b": x\r\n\r\n"):
            client.sendall(piece)
            time.sleep(0.01)
        assert b"here" in client.recv(10_000) + client.recv(10_000)
