"""An Optuna storage for a process that is the only writer of its studies, over Optuna's own PostgreSQL tables.

Optuna's `RDBStorage` asks the database again for what it has just told it, because anybody may have written meanwhile.
A sole writer need not: it keeps its studies in memory, answers every read from there, and sends only rows. Outside of a
batch a call is durable when it returns; a batch is one transaction. Readers (Optuna Dashboard, any Optuna script) find
the rows that `RDBStorage` would have written, to the letter.

`storage` is Optuna's interface, `unit_of_work` how a call or a batch becomes a transaction; `memory` is what is known
of the studies, `pending` the rows that are still to be written, `trials` what a new trial looks like; `reading` and
`writing` hold the statements, `values` the forms in which Optuna stores things, `schema` makes the tables, `connection`
keeps the connection, `internals` what of Optuna is not public. Knows Optuna and PostgreSQL. Must not know our tables.
"""

from __future__ import annotations

from bandstand.optuna_storage.storage import SoleWriterStorage

__all__ = ["SoleWriterStorage"]
