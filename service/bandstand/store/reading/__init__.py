"""What readers get of the database: records and lists that are put together of several kinds of rows.

Knows the tables and their rows. Must not know how to write.
"""
