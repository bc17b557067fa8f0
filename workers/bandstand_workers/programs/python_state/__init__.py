"""All that a model holds in Python, as one digest, and every variable that it can reach.

A traced program has baked in whatever its model's code read while it was traced, other than the values of variables.
So the walk goes where that code can go: attributes, containers, functions with their closures and the globals that they
use, classes of the user's. What it does not understand it names, and whoever asked must then assume anything.

`reading` begins, `walk` keeps what was met; `objects`, `functions`, `containers`, `tensors` and `plain_values` take in
one kind of values each, `code_reads` what a function reads. `code_origin` says whose something is.
"""
