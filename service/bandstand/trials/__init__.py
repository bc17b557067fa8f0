"""What happened to the trials of a study, and what follows from that alone.

    events            what happened, one frozen record a fact
    history           the trials as the events so far have left them
    best              which trial is the best
    lineage           from which trials a trial has its weights
    ledger            what is spent of the budget, and what is left
    broken_study      when failures end a study
    data_fingerprint  whether two trainers have the same data
    code_fingerprint  whether a study goes on with the same code
    combination       a study's model that is made of several trials' weights

Strategies, the search, the store and the reports all read these. It knows no strategy, no Ray, no Keras, no database
and no clock.
"""
