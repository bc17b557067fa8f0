"""Comparisons: several strategies on one problem, repeated, at the same budget.

`plan` says which studies a comparison consists of, `plan_rows` keeps that in the database, `arms` has their results as
numbers, `statistics` what can be concluded from numbers, `verdict` says it in words. The studies themselves
are ordinary ones.
"""
