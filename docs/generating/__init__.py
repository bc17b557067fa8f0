"""Writes the pages of docs/reference from the code: `make reference`, or `python -m docs.generating`.

It stands below docs/, beside what it writes, because neither an installation nor a test suite needs it; the site leaves
it out. The pages are committed, so that they are read on a Git host, too. A test holds them against the code.

    pages     one module for each page: what it says, and from where it has it
    settings  settings of a pydantic model as rows of a table
    markdown  tables, links and the line that says by which command a page was written
    site      what the site needs besides: pages outside docs/, links, the navigation

Must not be imported by the packages.
"""
