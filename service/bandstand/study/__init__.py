"""What a study is, as its user writes it.

study_spec       the spec: a problem with the model, the data, and what trains it
references       how a spec names its user's functions
context          what such a function may ask for beside its params
find_study       the study that a user names: a file, a built-in one, one of the database
states           where a study, a submission or a run stands
budget_text      a budget as it is written on a command line
strategy_choices the strategies that are compared, as a user writes them
comparison_plan  which studies a comparison consists of
users_code       the code that a spec names, on its way to where it trains
"""
