"""Makes a release: `make release VERSION=x.y.z`.

    texts       the version and the changelog, in the texts that have them
    packages    what an installation with some extras brings, with exact versions
    audit       what pip-audit has found, in one line
    __main__    the order of things: check, build, check again, commit, tag

Nothing is uploaded.
"""
