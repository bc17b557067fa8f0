"""What a server believes of its proxy: from the addresses that it was given, and from no other."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from starlette.responses import PlainTextResponse

from bandstand.api import ServerSettings, make_app
from bandstand.commands.work.serving import Transport, proxy_addresses, server_config
from bandstand.errors import InputError
from bandstand.store.accounts import Role
from tests.service.api.browsing import PAGE

POD = "10.244.3.7"
"""Where a request comes from: a proxy in another pod or on another machine, never the loopback interface."""
FROM_ADA = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}
FROM_BOB = {"X-Forwarded-For": "198.51.100.2", "X-Forwarded-Proto": "https"}


def served(app, proxies):
    """The application as uvicorn serves it, asked from that pod."""
    config = server_config(app, Transport(tls=None, proxies=proxy_addresses(proxies, behind_proxy=True)))
    config.load()
    transport = httpx.ASGITransport(config.loaded_app, client=(POD, 40_000))
    return httpx.AsyncClient(transport=transport, base_url="http://bandstand.example", headers=PAGE)


async def who_asks(scope, receive, send):
    body = f"{scope['scheme']} {scope['client'][0]}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def seen(proxies):
    async def ask():
        async with served(who_asks, proxies) as client:
            return (await client.get("/", headers=FROM_ADA)).text

    return asyncio.run(ask())


@pytest.mark.parametrize("proxies", [POD, "10.244.0.0/16", f"127.0.0.1, {POD}", "::1,10.0.0.0/8"])
def test_a_proxy_that_was_named_is_believed(proxies):
    assert seen(proxies) == "https 198.51.100.1"


@pytest.mark.parametrize("proxies", [None, "127.0.0.1", "10.244.3.8", "10.0.0.0/16"])
def test_anybody_else_is_not(proxies, monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own variable counts no more
    assert seen(proxies) == f"http {POD}"


@pytest.mark.parametrize("text", ["*", "", " , ", "proxy.example", "10.0.0.1/8", "10.0.0.1,*"])
def test_proxies_are_addresses_or_networks(text):
    with pytest.raises(InputError, match="--proxies must be IP addresses or networks"):
        proxy_addresses(text, behind_proxy=True)


def test_proxies_are_for_a_server_behind_one():
    with pytest.raises(InputError, match="--proxies needs --behind-proxy"):
        proxy_addresses(POD, behind_proxy=False)
    assert proxy_addresses(None, behind_proxy=False) == ()


def test_limits_of_failed_logins_count_the_browsers_address_and_pages_know_their_https_address(store):
    app = make_app(store, ServerSettings(logins_per_minute=2, secure_cookies=True))
    app.add_route("/where", lambda request: PlainTextResponse(str(request.base_url)))
    good = store.accounts.create_token("ada", Role.VIEWER, days=1).text

    async def log_in(client, token, headers):
        page = await client.get("/login", headers=headers)
        if page.status_code == 429:
            return 429
        form = re.search(r'name="csrf" value="([^"]+)"', page.text)
        answer = await client.post("/login", data={"token": token, "csrf": form[1]}, headers=headers)
        return answer.status_code

    async def ask():
        async with served(app, POD) as client:
            client.base_url = httpx.URL("https://bandstand.example")  # cookies are for https only
            wrong = [await log_in(client, "wrong", FROM_ADA) for _ in range(3)]
            other = await log_in(client, good, FROM_BOB)
            page = (await client.get("/where", headers=FROM_BOB)).text
            return wrong, other, page

    wrong, other, page = asyncio.run(ask())
    assert wrong[-1] == 429
    assert other == 303
    assert page == "https://bandstand.example/"
