"""Browsers for the tests: a client that has logged in by the form, and the machine's own Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bandstand.store.accounts import Role
from bandstand.store.store import Store

__all__ = ["PAGE", "chromium", "log_in", "serve"]

PAGE = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}
"""What a browser sends when somebody opens an address."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def log_in(app: FastAPI, store: Store, user: str = "ada", role: Role = Role.SUBMITTER) -> TestClient:
    """A client without a header of its own, after the form."""
    client = TestClient(app, headers=PAGE, raise_server_exceptions=True, follow_redirects=False)
    token = store.accounts.create_token(user, role, days=1)
    form = client.get("/login")
    csrf = re.search(r'name="csrf" value="([^"]+)"', form.text)
    assert csrf is not None
    answer = client.post("/login", data={"token": token.text, "csrf": csrf[1], "next": "/"})
    assert answer.status_code == 303, answer.text
    return client


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """The application on a port of the loopback interface; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser, driven on the machine's own Chromium; the test is skipped where there is none."""
    found = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium or Chrome on PATH, or its path in BROWSER_PATH: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()
