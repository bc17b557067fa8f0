"""Alembic migrations of Bandstand's own schema. Revisions are numbered, so that old and new can be told apart."""
