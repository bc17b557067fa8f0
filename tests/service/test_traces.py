"""Spans go to a collector if one is named, and cost nothing otherwise."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bandstand import traces
from bandstand.api import make_app
from bandstand.errors import InputError
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.trace_collector import Collector

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """This process sends spans to the collector."""
    monkeypatch.setattr(traces._Process, "provider", None)
    monkeypatch.setattr(traces._Process, "parent", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    traces.begin_traces("a test")
    yield collector
    assert traces._Process.provider is not None
    traces._Process.provider.shutdown()


def in_a_process(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    script = (
        "import sys\n"
        "from bandstand import traces\n"
        "traces.begin_traces('a test')\n"
        "with traces.span('x', {}) as one:\n"
        "    one.tell({'a': 1}); one.rename('y'); one.fail('badly')\n"
        "traces.flush_traces()\n"
        "assert one.parent_for_others is None and not traces.are_traced()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    for off in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}):
        done = in_a_process(script, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""} | off)
        assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_what_is_left_is_sent_when_the_process_exits(collector: Collector) -> None:
    script = "from bandstand import traces\ntraces.begin_traces('a test')\nwith traces.span('late', {}):\n    pass\n"
    done = in_a_process(script, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces"})
    assert done.returncode == 0, done.stderr
    assert [(one.name, one.service) for one in collector.spans] == [("late", "a test")]
    done = in_a_process(script, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "ours"})
    assert [one.service for one in collector.spans] == ["a test", "ours"], done.stderr


def test_a_collector_that_says_nothing_holds_up_no_end(traced: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's own flush waits for the collector; ours leaves it waiting."""
    answered, asked = threading.Event(), threading.Event()

    def wait_for_an_answer(*_: object) -> bool:
        asked.set()
        return answered.wait(60)

    monkeypatch.setattr(traces._Process.provider, "force_flush", wait_for_an_answer)
    monkeypatch.setattr(traces, "_FLUSH_SECONDS", 0.01)
    traces.flush_traces()
    assert asked.wait(60)
    assert not answered.is_set()
    answered.set()


def test_a_collector_without_the_extra_is_told_in_a_line_and_does_not_stop_anything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traces._Process, "provider", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with caplog.at_level(logging.WARNING):
        traces.begin_traces("a test")
    assert not traces.are_traced()
    (told,) = caplog.messages
    assert told.endswith('opentelemetry-exporter-otlp-proto-http is not installed: pip install "bandstand[otel]"')


def test_a_span_has_the_parent_that_it_is_given_else_that_of_the_process(traced: Collector) -> None:
    with traces.span("outer", {"a": 1, "b": None, "c": "x"}) as outer:
        traces.begin_traces("a test", outer.parent_for_others)
    with traces.span("of the process", {}):
        pass
    with traces.span("of another", {}, parent=PARENT):
        pass
    with traces.span("of nobody who can be read", {}, parent="00-zz"):
        pass
    traces.flush_traces()
    spans = {one.name: one for one in traced.spans}
    assert spans["outer"].about == {"a": 1, "c": "x"}
    assert spans["outer"].parent == ""
    assert spans["of the process"].parent == spans["outer"].id
    assert (spans["of another"].trace, spans["of another"].parent) == tuple(PARENT.split("-")[1:3])
    assert spans["of nobody who can be read"].parent == ""


def test_what_is_raised_marks_a_span_and_a_strangers_message_is_not_told(traced: Collector) -> None:
    for error in (InputError("x must be 1; it is 2"), ValueError("postgresql://ada:secret@db")):
        with pytest.raises(type(error)), traces.span("failing", {}):
            raise error
    traces.flush_traces()
    assert [(one.failed, one.error) for one in traced.spans] == [
        (True, "InputError: x must be 1; it is 2"),
        (True, "ValueError"),
    ]


def test_a_parent_that_is_not_sampled_has_no_children_that_are(traced: Collector) -> None:
    with traces.span("unwanted", {}, parent=PARENT[:-1] + "0") as one:
        assert str(one.parent_for_others).endswith("-00")
    traces.flush_traces()
    assert traced.spans == []


@pytest.fixture
def client(traced: Collector, store: Store) -> Iterator[TestClient]:
    app: FastAPI = make_app(store)
    token = store.accounts.create_token("tracer", Role.VIEWER, days=1)
    headers = {"Authorization": f"Bearer {token.text}", "traceparent": PARENT}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as made:
        yield made


def test_a_request_is_a_span_that_is_called_by_its_route(client: TestClient, traced: Collector) -> None:
    assert client.get("/studies/no-such", params={"token": "5ecret"}).status_code == 404
    assert client.get("/nowhere").status_code == 404
    assert client.get("/healthz").status_code == 200
    traces.flush_traces()
    found, nowhere = traced.spans
    assert found.name == "GET /studies/{name:path}"
    assert found.about == {
        "http.request.method": "GET", "http.route": "/studies/{name:path}", "http.response.status_code": 404,
    }  # fmt: skip
    assert (found.trace, found.parent) == tuple(PARENT.split("-")[1:3])
    assert not found.failed, "it is the client's fault"
    assert nowhere.name == "GET"
    assert "5ecret" not in str(traced.spans)


def test_a_server_without_a_collector_has_no_part_for_spans(store: Store) -> None:
    kinds = [one.cls.__name__ for one in make_app(store).user_middleware]
    assert "SecureHeaders" in kinds
    assert "TraceRequests" not in kinds
