"""Benchmarks: ratios measured in one run, never timed tests. `python -m tests.benchmarks` runs them all."""
