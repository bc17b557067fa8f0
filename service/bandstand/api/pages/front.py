"""The front page: what there is, what runs, what waits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.pages.content.listing import PAGE_SIZE, STATES, read_listing
from bandstand.api.pages.content.waiting import read_waiting
from bandstand.api.pages.rendering import render
from bandstand.store.accounts import Role

__all__ = ["router"]

router = APIRouter()


@router.get("/")
def front(
    request: Request,
    token: Viewer,
    state: str | None = None,
    mine: bool = False,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """The studies, the newest first."""
    store = store_of(request)
    shown = next((one for one in STATES if one == state), None)
    with store.database.reading() as connection:
        listing = read_listing(connection, state=shown, submitter=token.user_name if mine else None, page=page)
    return render(
        request,
        "front.html",
        listing=listing,
        waiting=read_waiting(store),
        states=[name for name in STATES if listing.counts.get(name) or name is shown],
        state=shown,
        mine=mine,
        page=page,
        pages=-(-listing.total // PAGE_SIZE),
        may_submit=token.role >= Role.SUBMITTER,
        address=str(request.base_url).rstrip("/"),
    )
