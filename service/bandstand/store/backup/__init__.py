"""Copies of a database: how one is made while studies run, brought back, and moved to a newer PostgreSQL.

Knows PostgreSQL's programs and the tables that say whether somebody works. Must not know what a study is.
"""
