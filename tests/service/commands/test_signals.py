"""What a command ends with that a signal has interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from bandstand.commands import cli
from bandstand.errors import InputError


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def exit_code_of(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(cli, "app", lambda **_: work())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def interrupted_library(number: int) -> Callable[[], None]:
    def work() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise RuntimeError("release unlocked lock") from None

    return work


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_library_that_fails_because_a_signal_came_is_no_error(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(interrupted_library(number), monkeypatch) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_library_that_fails_by_itself_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "app", lambda **_: work())
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()


def test_a_users_mistake_is_told_although_a_signal_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise InputError("workers must be at least 1; got 0") from None

    assert exit_code_of(work, monkeypatch) == 2
    assert "workers must be at least 1" in capsys.readouterr().err
