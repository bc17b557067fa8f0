"""Makes a release: `make release VERSION=x.y.z`.

texts       the version and the changelog in the files that have them; pure
packages    what an installation with some extras brings, with exact versions
__main__    the order of things: check, build, check again, commit, tag
"""
