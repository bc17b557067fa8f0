"""What commands of this machine's database do, once their options are read.

A command's own file has its options alone and imports from here when it runs, so that `--help` answers at once.
"""
