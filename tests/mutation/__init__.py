"""Mutation testing: the decisions of the core are changed one at a time, and a test must notice each change.

Knows the source of `bandstand.search` and of the pruners, and pytest. `make mutants` runs it; `README.md` has the last
result and says of every change that no test notices why none can.
"""
