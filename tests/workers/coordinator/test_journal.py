"""What may follow a batch of events once it is stored, and what may not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store.rows.event_rows import Rows
from bandstand.store.store import Store
from bandstand_workers.coordinator.recording.journal import Journal
from tests.service.store.written_study import make_spec


def test_a_checkpoint_stays_until_what_makes_it_superfluous_is_stored(
    store: Store, tmp_path: Path, monkeypatch: Any
) -> None:
    """A coordinator that dies before that is followed by one to which trial 0 still is the best."""
    writer = store.claim(make_spec(sampler="random", pruner="none", max_epochs=2), "a test")
    search = Search.restore(writer.spec, writer.events())

    def train(trial: int, value: float) -> None:
        for epoch in (1, 2):
            search.report(trial, 1, Measurement(epoch=epoch, metrics={"val_loss": value, "loss": value}, seconds=0.1))
        path = tmp_path / f"{trial}.checkpoint"
        path.write_text("weights")
        search.checkpointed(trial, 1, 2, str(path))

    def files() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    async def run() -> None:
        journal = Journal(search, writer, lambda: None)
        writing = asyncio.create_task(journal.write_batches())

        async def stored_while(meanwhile: Callable[[], None]) -> list[str]:
            """The files after a batch during whose writing something is decided."""
            write = writer.write

            def slowly(rows: Rows) -> None:
                loop.call_soon_threadsafe(meanwhile)
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()  # it has happened by now
                write(rows)

            monkeypatch.setattr(writer, "write", slowly)
            await journal.durable()
            monkeypatch.setattr(writer, "write", write)
            await journal.call(lambda: None)  # whatever was to be removed is by now
            return files()

        loop = asyncio.get_running_loop()
        for trial in (0, 1):
            assignment = search.next()
            assert assignment is not None
            assert assignment.trial == trial
        train(0, 0.5)
        search.finish(0, 1)
        train(1, 0.1)
        assert await stored_while(lambda: search.finish(1, 1)) == ["0.checkpoint", "1.checkpoint"]
        assert search.history.best is search.history.trials[1]
        assert await stored_while(lambda: None) == ["1.checkpoint"]
        writing.cancel()
        await journal.close()

    asyncio.run(run())
