"""The command line: a file a command, which has its options alone; `cli` names them all.

What a command does stands in `work`, and for commands that ask a server in `server`. Both are imported when a command
runs, so that `--help` answers at once.
"""
