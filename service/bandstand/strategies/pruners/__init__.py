"""Pruners: how long a trial runs, one file each. Must not know which params it has, nor who proposed them."""
