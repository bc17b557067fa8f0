"""A cluster that is lost is told, with the part that is missing; one whose GCS is restarted is not."""

from __future__ import annotations

import queue
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bandstand.errors import ClusterUnreachableError
from bandstand_workers.fleet.cluster_watch import ClusterWatch


def listening(family: int, address: object) -> socket.socket:
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(address)  # type: ignore[arg-type]
    one.listen(100)
    return one


@contextmanager
def watched(patience: float) -> Iterator[tuple[socket.socket, socket.socket, queue.Queue[ClusterUnreachableError]]]:
    told: queue.Queue[ClusterUnreachableError] = queue.Queue()
    with (
        tempfile.TemporaryDirectory() as folder,
        listening(socket.AF_INET, ("127.0.0.1", 0)) as gcs,
        listening(socket.AF_UNIX, str(Path(folder) / "raylet")) as raylet,
    ):
        address = f"127.0.0.1:{gcs.getsockname()[1]}"
        watch = ClusterWatch(address, str(Path(folder) / "raylet"), told.put, patience, look_seconds=0.02)
        try:
            yield gcs, raylet, told
        finally:
            watch.end()


@pytest.mark.parametrize("part", ["gcs", "raylet"])
def test_a_part_that_stays_away_is_named_once(part: str) -> None:
    with watched(patience=0.1) as (gcs, raylet, told):
        with pytest.raises(queue.Empty):
            told.get(timeout=0.3)
        address = f"127.0.0.1:{gcs.getsockname()[1]}"
        (gcs if part == "gcs" else raylet).close()
        error = told.get(timeout=60)
        assert f"the Ray cluster at {address} is lost" in str(error)
        assert ("its GCS" if part == "gcs" else "the raylet of this machine") in str(error)
        assert "\n" not in str(error)
        with pytest.raises(queue.Empty):
            told.get(timeout=0.3)


def test_a_gcs_that_comes_back_in_time_is_no_loss() -> None:
    with watched(patience=3600) as (gcs, _, told):
        address = gcs.getsockname()
        gcs.close()
        with pytest.raises(queue.Empty):
            told.get(timeout=0.2)
        with listening(socket.AF_INET, address), pytest.raises(queue.Empty):
            told.get(timeout=0.2)
