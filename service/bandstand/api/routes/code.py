"""The code that studies need, as archives that are known by their content."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from typing import IO

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from bandstand.api.access.authentication import Submitter, Viewer, store_of
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Sha256InPath
from bandstand.errors import InputError
from bandstand.store.store import Store
from bandstand.submissions import CodeArchive, SubmissionQueue

__all__ = ["router"]

router = APIRouter(tags=["code"])
_IN_MEMORY_BYTES = 10**6
_one_at_a_time = asyncio.Semaphore(1)
"""Archives that are whole in memory, on the way to the database."""


class KeptCode(BaseModel):
    """An archive that the server has."""

    sha256: str
    bytes: int
    notes: list[str] = []
    """What whoever sent it should know, such as files with the name of a package that Bandstand needs."""


@router.put(
    "/code/{sha256}",
    status_code=201,
    responses=answers(401, 403, 413, 415, 422, 429, 503, same=KeptCode),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_code(request: Request, response: Response, token: Submitter, sha256: Sha256InPath) -> KeptCode:
    """Send the code of a study as a zip file. The study's job imports its modules and reads its files.

    The server refuses an archive that holds links, or paths that lead out of it. It deletes an archive that no study
    has needed for a day. It accepts compiled files, and modules with the names of packages that Bandstand needs. The
    field `notes` of the answer tells of them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/zip":
        raise HTTPException(415, f"code must be sent as application/zip; got {kind[:100]!r}: correct Content-Type")
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
        digest, size = hashlib.sha256(), 0
        async for piece in request.stream():
            digest.update(piece)
            size += len(piece)
            spool.write(piece)
        if digest.hexdigest() != sha256:
            raise InputError(
                f"the archive's SHA-256 must be the one in the path; it is {digest.hexdigest()}: send the whole archive"
            )
        async with _one_at_a_time:
            is_new, notes = await run_in_threadpool(_keep, store_of(request), spool)
    response.status_code = 201 if is_new else 200
    return KeptCode(sha256=sha256, bytes=size, notes=notes)


def _keep(store: Store, spool: IO[bytes]) -> tuple[bool, list[str]]:
    spool.seek(0)
    archive = CodeArchive(spool.read())
    return SubmissionQueue(store).keep_code(archive), archive.remarks()


@router.head("/code/{sha256}", responses=answers(401, 404, 422, 429, 503))
def has_code(request: Request, token: Viewer, sha256: Sha256InPath) -> Response:
    """Check whether the server has this archive already."""
    if not SubmissionQueue(store_of(request)).has_code(sha256):
        raise HTTPException(404, f"the server has no code with SHA-256 {sha256}: send the code")
    return Response(status_code=200)
