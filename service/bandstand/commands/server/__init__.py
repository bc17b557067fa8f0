"""The command line's side of a server.

`choice` decides whether a command works on this machine's database or on a server; `looking` and `asking` are what the
commands that have both do on a server; `submitting` and `login` are commands that only a server has. Every command
imports what it needs when it runs.
"""

from __future__ import annotations
