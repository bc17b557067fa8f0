"""Which of a trial's params a user's functions look at, so that one which nobody reads is told before it is tuned.

Knows dicts and sources. Must not know what the functions are for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bandstand_workers.programs.python_state.code_origin import is_users_module

__all__ = ["WatchedParams", "unread_remark"]


class WatchedParams(dict[str, Any]):
    """Params that note which of them are read; whoever goes through all of them has read all.

    For one call that decides nothing. Trials get plain dicts.
    """

    def __init__(self, params: Mapping[str, Any], read: set[str] | None = None):
        """`read` is added to, where a copy shares it."""
        super().__init__(params)
        self.read: set[str] = set() if read is None else read

    def __copy__(self) -> WatchedParams:
        return WatchedParams(dict(super().items()), self.read)

    copy = __copy__

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict's."""
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """As a dict's."""
        self.read.add(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def keys(self) -> Any:
        """As a dict's."""
        self._all()
        return super().keys()

    def values(self) -> Any:
        """As a dict's."""
        self._all()
        return super().values()

    def items(self) -> Any:
        """As a dict's."""
        self._all()
        return super().items()

    def __or__(self, other: Any) -> Any:
        self._all()
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:
        self._all()
        return super().__ror__(other)

    def __eq__(self, other: object) -> bool:
        self._all()
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self) -> str:
        self._all()
        return super().__repr__()

    def _all(self) -> None:
        self.read |= set(super().keys())


def unread_remark(params: WatchedParams, used_elsewhere: Iterable[str]) -> str | None:
    """What to say of params that no function has read and no source of the user's names; None where there are none.

    Functions read some params with some values of others only, so what a source names is not told of.

    Args:
        params: that builder and callbacks were given.
        used_elsewhere: names of params that mean something to the study itself.
    """
    unread = [name for name in dict.keys(params) if name not in params.read and name not in set(used_elsewhere)]
    if not unread:
        return None
    source = _users_sources()
    unread = [name for name in unread if name not in source]
    if not unread:
        return None
    if len(unread) == 1:
        return (
            f"no code reads the parameter {unread[0]!r}, so its value has no effect; use it in the builder or remove "
            "it from the space"
        )
    return (
        f"no code reads the parameters {', '.join(map(repr, unread))}, so their values have no effect; use them in the "
        "builder or remove them from the space"
    )


def _users_sources() -> str:
    """The text of all modules of the user's that have been imported."""
    texts = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.endswith(".py") and is_users_module(name) and not name.startswith("bandstand"):
            try:
                texts.append(Path(file).read_text(errors="replace"))
            except OSError:
                continue
    return "\n".join(texts)
