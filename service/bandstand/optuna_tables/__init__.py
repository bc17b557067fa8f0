"""Optuna's own tables, kept in step with a study, and Optuna Dashboard on them."""
