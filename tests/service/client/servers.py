"""Servers on the loopback interface for the tests: the real one, and one that answers as it is told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn

from bandstand.api import ServerSettings, make_app
from bandstand.store.store import Store

TOKEN = "bandstand_0123456789ab_a-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LoopbackServer:
    """`bandstand serve` without a dispatcher, in a thread; it can be started again at the same address."""

    def __init__(self, store: Store, **settings: Any):
        self._store = store
        self._settings = settings
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = make_app(self._store, ServerSettings(**self._settings))
        config = uvicorn.Config(
            app, host="127.0.0.1", port=self.port, log_level="critical", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)


Answer = tuple[int, dict[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]


class ScriptedServer:
    """Gives these answers, one for each request; the last one again and again."""

    def __init__(self, answers: Sequence[Answer]):
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        script, seen = list(answers), self.requests

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                seen.append((self.command, self.path, dict(self.headers), body))
                answer = script.pop(0) if len(script) > 1 else script[0]
                if callable(answer):
                    answer(self)
                    self.close_connection = True
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """An answer that never comes: the connection is cut."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def problem(status: int, detail: str = "the rule, the value, the way out", **more: object) -> tuple:
    """An answer of ScriptedServer that says what is wrong."""
    body = json.dumps({"title": "x", "status": status, "detail": detail, **more}).encode()
    return status, {"Content-Type": "application/problem+json"}, body
