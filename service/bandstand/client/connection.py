"""Requests to a server: repeated where that is safe, and every answer that is an error as an error of ours.

Knows HTTP and how long to be patient. Must not know what is asked for. The token is in no message and no `repr`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from bandstand.errors import (
    TOKEN_NEEDED,
    BandstandError,
    ComparisonNotFoundError,
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
    answer_to,
    one_line,
)

__all__ = ["Connection", "backoff_seconds", "path_of"]

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_STREAM_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_FIRST_PATIENCE_SECONDS = 3.0
"""For a server that has never answered: the address may be wrong."""
_MAX_PAUSE_SECONDS = 8.0
_MAX_RETRY_AFTER_SECONDS = 120.0
_BUSY = (502, 503, 504)
_ERRORS: dict[int, type[BandstandError]] = {
    **dict.fromkeys(_BUSY, ServerUnreachableError),
    **{
        answer_to(kind).status: kind
        for kind in (NotLoggedInError, NotAllowedError, StudyNotFoundError, StudyInUseError, TooManyRequestsError)
    },
}
"""What an answer of a status means, where nothing else tells it more exactly."""


def path_of(*parts: str) -> str:
    """The path of an address, from its parts: `path_of("studies", name, "best")`."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def backoff_seconds(attempt: int) -> float:
    """How long to wait before an attempt, counted from 1; with chance, so that many clients do not come at once."""
    return float(min(_MAX_PAUSE_SECONDS, 0.25 * 2 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0))


class Connection:
    """A server, and the token to ask it with.

    Raises, from any request:
        NotLoggedInError, NotAllowedError, TooManyRequestsError: the server refuses the token, or its use.
        ServerUnreachableError: it does not answer.
        ServerAnswerError: it answers with what is not ours.
        ServerMistakeError: it says that it made a mistake.
        StudyNotFoundError, ComparisonNotFoundError, StudyNameTakenError, StudyInUseError, InputError: as the server
            says.
    """

    def __init__(self, url: str, token: str | None, retry_seconds: float):
        """As `Client`."""
        self.url = _checked(url)
        self.retry_seconds = retry_seconds
        headers = {} if token is None else {"Authorization": f"Bearer {_checked_token(token)}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT)
        self._has_answered = False

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def get(self, path: str, **params: str | int | None) -> dict[str, Any]:
        """What is there, from JSON; `params` of the address, without what is None."""
        return _object_from(self.request("GET", path, params=_given(params)))

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = False
    ) -> dict[str, Any] | None:
        """What came of a change, from JSON; None if nothing was said.

        Args:
            path: where.
            body: what, without what is None.
            repeatable: whether asking twice is the same as asking once.
        """
        answer = self.request("POST", path, repeatable=repeatable, json=_given(body or {}))
        return _object_from(answer) if answer.content else None

    def request(
        self, method: str, path: str, *, repeatable: bool | None = None, missing_ok: bool = False, **options: Any
    ) -> httpx.Response:
        """Ask, and ask again while the server is away or too busy.

        Args:
            method: of HTTP.
            path: from `path_of`.
            repeatable: whether it may be sent again when it is not known what came of it; GET, HEAD and PUT may.
            missing_ok: return an answer of 404 instead of raising.
            options: httpx's.
        """
        safe = method in ("GET", "HEAD", "PUT") if repeatable is None else repeatable
        until, attempt = time.monotonic() + self.retry_seconds, 0
        while True:
            attempt += 1
            pause = backoff_seconds(attempt)
            error: BandstandError
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as lost:
                error = self.unreachable(lost)
                if not (safe or isinstance(lost, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)):
                    raise error from None
            except (httpx.InvalidURL, httpx.HTTPError) as refused:
                raise ServerAnswerError(f"the URL {self.url} cannot be used: {one_line(refused)}") from None
            else:
                self._has_answered = True
                if response.is_success or (missing_ok and response.status_code == 404):
                    return response
                error = self.error_from(response)
                if not (response.status_code == 429 or (safe and response.status_code in _BUSY)):
                    raise error
                pause = max(pause, _retry_after(response))
            if time.monotonic() + pause > self._until(until):
                raise error from None
            time.sleep(pause)

    def _until(self, until: float) -> float:
        if self._has_answered:
            return until
        return min(until, until - self.retry_seconds + _FIRST_PATIENCE_SECONDS)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an answer that goes on, once; errors as of `request`, and httpx's when it breaks off."""
        headers = {"Accept": "text/event-stream", **headers}
        with self._http.stream("GET", path, headers=headers, timeout=_STREAM_TIMEOUT) as response:
            self._has_answered = True
            if not response.is_success:
                response.read()
                raise self.error_from(response)
            yield response.iter_lines()

    def unreachable(self, error: httpx.HTTPError) -> ServerUnreachableError:
        """What to say of a server that was not reached."""
        why = one_line(error) if str(error) else type(error).__name__
        return ServerUnreachableError(
            f"the server must answer; {self.url} does not ({why}): check the URL, and whether the server runs"
        )

    def error_from(self, response: httpx.Response) -> BandstandError:
        """The error that an answer tells."""
        status, detail = response.status_code, _detail_of(response)
        if response.is_redirect:
            return ServerAnswerError(
                f"the URL must be the server's own; {self.url} redirects to {response.headers.get('location', '?')!r}: "
                "use that URL"
            )
        if detail is None:
            if status == 401 and response.headers.get("WWW-Authenticate", "").startswith("Bearer"):  # to HEAD, no body
                return NotLoggedInError(TOKEN_NEEDED)
            if status in _BUSY:
                return ServerUnreachableError(
                    f"the server {self.url} cannot work now (HTTP {status}): try again in a moment"
                )
            return ServerAnswerError(
                f"{self.url} answers with HTTP {status}, but not as a Bandstand server does: check the URL"
            )
        differences = response.json().get("differences") if response.content else None
        if status == 409 and differences is not None:
            return StudyNameTakenError(detail, [str(each) for each in differences])
        if status >= 500 and status not in _BUSY:
            return ServerMistakeError(f"{self.url}: {detail}")
        path = response.url.path.removeprefix(httpx.URL(self.url).path.rstrip("/"))
        if status == 404 and path.startswith("/comparisons/"):
            return ComparisonNotFoundError(detail)
        return _ERRORS.get(status, InputError)(detail)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(
            f"the server's URL must begin with http:// or https://, such as https://bandstand.example; got {url!r}"
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError(
            "the server's URL must have no user, password or query: give the token separately (BANDSTAND_TOKEN, "
            "--token-file, or token= in Python)"
        )
    if parsed.port is not None and not 0 < parsed.port < 2**16:  # another one would be connected to
        raise InputError(f"the port in the server's URL must be between 1 and 65535; got {parsed.port}: correct it")
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            "a token must be exactly what `bandstand token create` printed; this one has other characters: copy it "
            "again"
        )
    return token


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _detail_of(response: httpx.Response) -> str | None:
    """One line for people; None if it is no problem of ours."""
    if "problem+json" not in response.headers.get("content-type", ""):
        return None if response.request.method != "HEAD" else f"HTTP {response.status_code}"
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return None


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(_MAX_RETRY_AFTER_SECONDS, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:  # a date
        return 0.0


def _object_from(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ServerAnswerError(
            f"{response.request.url.host} does not answer with JSON: check that the URL is a Bandstand server's"
        )
    return found
