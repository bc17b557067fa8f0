"""Addresses that no server can have are refused: programs that take them connect to another port."""

from __future__ import annotations

import pytest

from bandstand.client import Client
from bandstand.errors import InputError
from bandstand.locations import check_port, ray_job_server


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999, 99_999_999])
@pytest.mark.parametrize("address", ["head:{}", "http://head:{}", "http://head:{}/", "ray://10.0.0.7:{}", "[::1]:{}"])
def test_a_port_that_no_server_can_have_is_refused(address: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"the port in X must be between 1 and 65535; got {port}"):
        check_port(address.format(port), "X")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", address.format(port))
    with pytest.raises(InputError, match=f"the port in RAY_API_SERVER_ADDRESS must be .*; got {port}"):
        ray_job_server()


@pytest.mark.parametrize("address", ["head", "head:6379", "http://head", "http://head:8265/", "auto", "http://[::1]:1"])
def test_an_address_with_a_port_or_none_is_taken(address: str) -> None:
    check_port(address, "X")


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_servers_url_has_a_port_that_a_server_can_have(port: int) -> None:
    with pytest.raises(InputError, match="the port in the server's URL must be between 1 and 65535"):
        Client(f"http://localhost:{port}", token="bandstand_a_b")
