"""What `bandstand doctor` looks at, a file for each part of an installation.

Knows how each part is asked whether it works, without changing anything. Must not import what it examines if that is
heavy: a package is looked up, a GPU is asked about in a process of its own, and a database is only read.
"""
