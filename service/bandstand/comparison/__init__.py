"""Comparisons: several strategies on one problem, repeated, at the same budget.

`bandstand.study.comparison_plan` says which studies a comparison consists of; they are ordinary ones.
`results` has what came out of them as numbers, `conclusions` what these allow to say, by `statistics`, and `summary`
says it in words. `figures` names the figures, each in a file of its own, and `outline` puts all of it into a report.
"""
