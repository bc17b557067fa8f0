"""Runs the code blocks of a Markdown page from top to bottom, as a reader would.

    blocks           which blocks a page has, and what the comments before them say
    page_run         a page's folder, and what is done with each block in it
    shell            console blocks: bash, and servers in the background
    python_session   Python blocks: one process per page
    study_fragments  TOML blocks that change a page's study

tests/docs/README.md has the convention that pages follow.
"""
