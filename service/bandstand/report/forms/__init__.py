"""The forms a report takes: a page, Markdown, JSON, tables on a terminal."""
