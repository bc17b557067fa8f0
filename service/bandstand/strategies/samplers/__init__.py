"""Samplers: what to try next, one file each. Must not know how long a trial runs, nor on what."""
