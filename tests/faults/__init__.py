"""A storm: real studies whose processes are killed all the time, and an audit of what came of them.

Knows the command line, the database and the operating system. Must not be known by the product: no line of it is there
for a storm. `python -m tests.faults --help` says what a storm can be told; `README.md` says what it does and checks.
"""
