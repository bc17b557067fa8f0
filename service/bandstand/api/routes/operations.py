"""For whoever keeps the server running: does it live, can it work."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import BaseModel

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.schemas.described import Described
from bandstand.api.schemas.problem_details import answers

__all__ = ["router"]

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"] = "ok"


class Me(Described):
    """The user of the token."""

    user: str
    role: str
    expires_at: str
    """Time at which the token expires, as ISO 8601."""


@router.get("/healthz")
async def healthz() -> Health:
    """Check that the server's process is alive. This does not ask the database."""
    return Health()


@router.get("/readyz", responses=answers(503))
def readyz(request: Request) -> Health:
    """Check that the server can work: the database answers."""
    with store_of(request).database.reading() as connection:
        connection.execute(sa.text("SELECT 1"))
    return Health()


@router.get("/me", responses=answers(401, 429, 503))
def me(token: Viewer) -> Me:
    """Get the user and the role of the token."""
    return Me(user=token.user_name, role=str(token.role), expires_at=token.expires_at.isoformat())
