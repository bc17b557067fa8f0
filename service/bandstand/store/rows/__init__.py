"""The rows of one kind each: how they are written, found and read, on a connection that somebody else has.

Knows the tables. Must not know how to connect, nor who asks.
"""
