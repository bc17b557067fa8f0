"""What many read at the same time, looked up once for all of them.

`study_feeds` polls studies for all who watch them; `snapshots` keeps lists and progress for as long as they hold.
"""
