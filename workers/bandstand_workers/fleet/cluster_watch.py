"""Sees that the cluster of this process is lost, and says which part of it is missing.

Knows the addresses of the cluster's GCS and of this machine's raylet. Must not know what is done about it. Ray's own
calls wait for a GCS that is gone, and after a minute Ray ends the process without a word to whoever asked.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from bandstand.errors import ClusterUnreachableError

__all__ = ["ClusterWatch"]

_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0
"""How long a part may be away: a GCS that is restarted is back sooner. Ray gives up after 60 s."""
_ANSWER_SECONDS = 5.0


class ClusterWatch:
    """Looks in a thread of its own, because the others may wait for Ray."""

    def __init__(
        self,
        gcs_address: str,
        raylet_socket: str | None,
        on_loss: Callable[[ClusterUnreachableError], None],
        patience_seconds: float = _PATIENCE_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ):
        """Begin.

        Args:
            gcs_address: host and port.
            raylet_socket: the file of the socket of this machine's raylet; None if it is not known.
            on_loss: is called once, in the thread, when a part has been away for so long. Ray may hang then, so the
                process should end without Ray's help.
            patience_seconds: how long.
            look_seconds: between two looks.
        """
        self._gcs_address = gcs_address
        self._raylet_socket = raylet_socket
        self._on_loss = on_loss
        self._patience = patience_seconds
        self._look_seconds = look_seconds
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="cluster watch", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        away_since: float | None = None
        while not self._over.wait(self._look_seconds):
            missing = self._missing()
            if missing is None:
                away_since = None
                continue
            now = time.monotonic()
            away_since = now if away_since is None else away_since
            if now - away_since >= self._patience and not self._over.is_set():
                self._on_loss(
                    ClusterUnreachableError(
                        f"the Ray cluster at {self._gcs_address} is lost: {missing} has not answered for "
                        f"{self._patience:.0f} s. Start the cluster again, and then run the same command again to "
                        "continue. No stored epoch is lost"
                    )
                )
                return

    def _missing(self) -> str | None:
        """The part that does not answer, for people; None if all do."""
        host, _, port = self._gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
        except OSError:
            return f"its GCS ({self._gcs_address}, a process of the head node)"
        if self._raylet_socket is None:
            return None
        try:
            with socket.socket(socket.AF_UNIX) as raylet:
                raylet.settimeout(_ANSWER_SECONDS)
                raylet.connect(self._raylet_socket)
        except OSError:
            return "the raylet of this machine"
        return None
