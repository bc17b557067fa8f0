"""Who gets in by the login page, and who does not."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from bandstand.api import ServerSettings, make_app
from bandstand.api.access.authentication import COOKIE
from bandstand.api.access.failed_logins import FailedLogins
from bandstand.api.pages.addresses import safe_target
from bandstand.store.accounts import Role
from tests.service.api.browsing import PAGE, log_in


@pytest.fixture
def browser(app):
    with TestClient(app, headers=PAGE, follow_redirects=False) as client:
        yield client


def form_token(client, address="/login"):
    return re.search(r'name="csrf" value="([^"]+)"', client.get(address).text)[1]


def test_a_browser_without_a_session_is_sent_to_the_login_page_and_led_on_from_there(browser, store):
    answer = browser.get("/web/studies/a/b?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fweb%2Fstudies%2Fa%2Fb%3Fx%3D1"
    token = store.accounts.create_token("ada", Role.VIEWER, days=1)
    page = browser.get(answer.headers["location"])
    assert "/web/studies/a/b?x=1" in page.text
    form = {"token": token.text, "csrf": form_token(browser), "next": "/web/studies/a/b?x=1"}
    assert browser.post("/login", data=form).headers["location"] == "/web/studies/a/b?x=1"
    assert browser.get("/").status_code == 200


def test_a_program_without_a_token_gets_a_problem_and_no_login_page(nobody):
    answer = nobody.get("/", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites_and_holds_no_token(app, store):
    client = TestClient(app, headers=PAGE, follow_redirects=False)
    token = store.accounts.create_token("ada", Role.VIEWER, days=1)
    cookies = client.post("/login", data={"token": token.text, "csrf": form_token(client)}).headers.get_list(
        "set-cookie"
    )
    session = next(one for one in cookies if one.startswith(COOKIE))
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert "Secure" not in session
    assert token.text.split("_", 2)[2] not in session


def test_behind_https_the_cookies_are_for_https_only(store):
    app = make_app(store, ServerSettings(secure_cookies=True))
    with TestClient(app, base_url="https://testserver", headers=PAGE, follow_redirects=False) as client:
        token = store.accounts.create_token("ada", Role.VIEWER, days=1)
        answer = client.post("/login", data={"token": token.text, "csrf": form_token(client)})
        assert answer.status_code == 303
        assert all("Secure" in one for one in answer.headers.get_list("set-cookie") if '=""' not in one)


@pytest.mark.parametrize(
    ("csrf", "headers"),
    [("", {}), ("guessed", {}), (None, {"Sec-Fetch-Site": "cross-site"}), (None, {"Sec-Fetch-Site": "same-site"})],
)
def test_another_site_cannot_log_somebody_in(browser, store, csrf, headers):
    token = store.accounts.create_token("mallory", Role.ADMIN, days=1)
    good = form_token(browser)
    answer = browser.post("/login", data={"token": token.text, "csrf": good if csrf is None else csrf}, headers=headers)
    assert answer.status_code == 403
    assert COOKIE not in answer.cookies


def test_a_foreign_origin_is_refused_where_the_browser_says_no_more_than_that(app, store):
    with TestClient(app, headers={"Accept": "text/html"}, follow_redirects=False) as client:
        form = {"token": store.accounts.create_token("ada", Role.VIEWER, days=1).text, "csrf": form_token(client)}
        assert client.post("/login", data=form, headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.post("/login", data=form, headers={"Origin": "http://testserver"}).status_code == 303


def test_a_bad_token_is_refused_with_a_word_and_not_repeated(browser):
    answer = browser.post("/login", data={"token": "bandstand_0123456789ab_planted", "csrf": form_token(browser)})
    assert answer.status_code == 401
    assert "This token is not valid" in answer.text
    assert "planted" not in answer.text


def test_too_many_failed_attempts_have_to_wait_and_a_good_token_from_the_same_address_does_not(store):
    with TestClient(make_app(store, ServerSettings(logins_per_minute=3)), headers=PAGE) as client:
        csrf = form_token(client)
        answers = [client.post("/login", data={"token": "wrong", "csrf": csrf}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert "Try again in" in answers[-1].text
        token = store.accounts.create_token("ada", Role.VIEWER, days=1)
        answer = client.post("/login", data={"token": token.text, "csrf": csrf}, follow_redirects=False)
        assert answer.status_code == 303


def test_failed_attempts_are_counted_by_address_and_in_ipv6_by_network():
    logins = FailedLogins(2)
    for address in ("2001:db8::1", "2001:db8::2"):
        logins.add(address)
    assert logins.seconds_to_wait("2001:db8::3") > 0
    assert logins.seconds_to_wait("2001:db8:0:1::3") == 0
    assert logins.seconds_to_wait("192.0.2.1") == 0


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "evil", "/a\nb", "/\t/x"],
)
def test_nobody_is_led_elsewhere_by_a_login(target):
    assert safe_target(target) == "/"


@pytest.mark.parametrize("target", ["/", "/web/studies/a/b?x=1", "/dashboard/studies/3#note"])
def test_a_login_leads_on_to_a_page_of_this_server(target):
    assert safe_target(target) == target


def test_logging_out_ends_the_session_unless_another_site_asks_for_it(app, store):
    client = log_in(app, store)
    assert client.post("/logout", data={"csrf": "guessed"}).headers["location"] == "/"
    assert client.get("/").status_code == 200
    csrf = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)[1]
    assert client.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
    assert client.get("/").status_code == 303


def test_a_revoked_token_ends_the_session(app, store):
    client = log_in(app, store, "revoked-one")
    store.accounts.revoke("revoked-one")
    assert client.get("/").headers["location"] == "/login"
