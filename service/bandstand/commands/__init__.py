"""The command line: a file a command; `cli` names them all, `server` has those that ask a server."""
