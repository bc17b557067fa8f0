"""Reports, each written by a process of its own: what that takes in memory and time does not burden the server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.pages.people import wants_page
from bandstand.api.pages.rendering import render
from bandstand.api.routes.studies import no_study
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name
from bandstand.locations import bandstand_home
from bandstand.private_folders import home_folder
from bandstand.running.child_death import ending_of
from bandstand.store.store import Store

__all__ = ["ReportWriter", "router"]

router = APIRouter(tags=["reports"])
Form = Annotated[Literal["html", "md", "json"], Query(description="Format of the report.")]
_MEDIA = {"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8", "json": "application/json"}
_FOLDER = "server-reports"
_KEPT = 200
"""Reports at most, the latest."""
_SECONDS = 300.0
"""That writing one may take."""
_PATIENCE_SECONDS = 4.0
"""After which somebody who looks at an empty page is told that it is being written."""
_AGAIN_SECONDS = 3
"""Between two looks whether it is there."""
_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A report is a page with everything in it. In a sandbox it is nobody's: it cannot act for whoever reads it."""
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "text/markdown": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    202: {"description": "A page, for browsers only, that opens the report when it is written."},
}


class ReportWriter:
    """Writes reports and keeps them until their study has changed."""

    def __init__(self, store: Store, at_once: int):
        self._store = store
        self._free = asyncio.Semaphore(at_once)
        self._under_way: dict[Path, asyncio.Task[None]] = {}
        self._failed: dict[Path, BaseException] = {}  # that nobody has been told of

    async def written(self, name: str, form: str, version: str) -> Path:
        """The file of a report; whoever asks for one that is being written waits for the same.

        Args:
            name: of a study or comparison.
            form: one of `Form`.
            version: of what it tells of; changes when that does.

        Raises:
            HTTPException: 503, it could not be written.
        """
        path = self._path_of(name, form, version)
        while not path.exists():
            failure = self._failed.pop(path, None)
            if failure is not None:
                raise failure
            task = self._under_way.get(path)
            if task is None:
                task = asyncio.get_running_loop().create_task(self._write(name, form, path))
                self._under_way[path] = task
                task.add_done_callback(lambda _: self._under_way.pop(path, None))
            await asyncio.shield(task)  # others may wait for it, and who comes back soon gets it
        return path

    async def written_soon(self, name: str, form: str, version: str) -> Path | None:
        """As `written`, but None if it takes longer than somebody likes to look at an empty page.

        It is written all the same. If that fails, whoever asks next is told.
        """
        writing = asyncio.get_running_loop().create_task(self.written(name, form, version))
        done, _ = await asyncio.wait({writing}, timeout=_PATIENCE_SECONDS)
        if done:
            return writing.result()
        writing.add_done_callback(partial(self._note_failure, self._path_of(name, form, version)))
        return None

    def _note_failure(self, path: Path, writing: asyncio.Task[Path]) -> None:
        failure = None if writing.cancelled() else writing.exception()
        if failure is not None:
            self._failed[path] = failure

    @staticmethod
    def _path_of(name: str, form: str, version: str) -> Path:
        digest = hashlib.sha256(f"{name}\n{version}".encode()).hexdigest()[:32]
        return bandstand_home() / _FOLDER / f"{digest}.{form}"

    async def _write(self, name: str, form: str, path: Path) -> None:
        async with self._free:
            home_folder(_FOLDER)
            draft = path.with_suffix(f".{uuid.uuid4().hex}.draft")
            how = ["--local", "-o", str(draft), "--format", form]  # who runs the server may be logged in to another
            command = [sys.executable, "-P", "-m", "bandstand", "report", *how, "--", name]
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"BANDSTAND_DATABASE_URL": self._store.database.url},
            )
            try:
                _, told = await asyncio.wait_for(process.communicate(), _SECONDS)
                if process.returncode != 0:
                    lines = told.decode(errors="replace").strip().splitlines()
                    silent = f"its process {ending_of(process.returncode or 0)} and did not say why"
                    why = lines[-1].removeprefix("bandstand: ") if lines else silent
                    raise HTTPException(503, f"the report could not be written: {why[:500]}", {"Retry-After": "5"})
                draft.rename(path)
            except TimeoutError:
                raise HTTPException(
                    503, f"the report took longer than {_SECONDS:.0f} s; ask again when the server is less busy",
                    {"Retry-After": "60"},
                ) from None  # fmt: skip
            finally:
                if process.returncode is None:
                    process.kill()
                draft.unlink(missing_ok=True)
            _drop_old(path.parent)


def _drop_old(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)


async def send_report(request: Request, name: str, form: str, version: str) -> Response:
    """The answer that is a report; for a browser, which cannot say how long it will take, a page that waits for it."""
    writer: ReportWriter = request.app.state.reports
    if form == "html" and wants_page(request.method, request.headers):
        soon = await writer.written_soon(name, form, version)
        if soon is None:
            page = render(request, "writing.html", 202, name=name)
            page.headers["Refresh"] = str(_AGAIN_SECONDS)
            return page
        path = soon
    else:
        path = await writer.written(name, form, version)
    headers = {"Cache-Control": "private, no-cache"} | ({"Content-Security-Policy": _POLICY} if form == "html" else {})
    return FileResponse(path, media_type=_MEDIA[form], headers=headers)


@router.get(
    "/studies/{name:path}/report", response_class=FileResponse, responses=_FILE | answers(401, 404, 422, 429, 503)
)
async def get_study_report(request: Request, token: Viewer, name: Name, form: Form = "html") -> Response:
    """Get the report of a study as it is now. After a change the server needs some seconds to write it."""
    return await send_report(request, name, form, await run_in_threadpool(_study_version, store_of(request), name))


def _study_version(store: Store, name: str) -> str:
    stamps = store.stamps([name])
    if name not in stamps:
        raise no_study(store, name)
    return repr((store.studies(names=[name])[0].created_at, stamps[name]))


@router.get(
    "/comparisons/{name:path}/report", response_class=FileResponse, responses=_FILE | answers(401, 404, 422, 429, 503)
)
async def get_comparison_report(request: Request, token: Viewer, name: Name, form: Form = "html") -> Response:
    """The report of a comparison as it is now."""
    return await send_report(request, name, form, await run_in_threadpool(_comparison_version, store_of(request), name))


def _comparison_version(store: Store, name: str) -> str:
    plan = store.plans.get(name)
    return repr((plan.repeats, sorted(store.stamps(list(plan.study_names().values())).items())))
