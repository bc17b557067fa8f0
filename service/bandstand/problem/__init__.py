"""What a search needs to know of a study, and nothing of how its trials are trained.

    objective     what a trial is judged by
    directions    which way a metric is better, as far as its name tells
    budget        what may be spent
    problem       all of it together, as strategies and the search see it
    field_types   types of settings that several models share
    broken_rules  how a broken rule is said to a user

It stands below everything else that decides: no registry, no trial, no model and no data is known here.
"""
