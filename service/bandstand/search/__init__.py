"""Search: the whole of a study's decisions, as a state machine without input or output.

    search         what the shells call: what happened goes in, what to do next comes out
    protocol       the words of both sides: Assignment, Verdict, StaleAttemptError
    state          history, strategy, and the events that are not stored yet; the one way in which anything changes
    allocation     giving out work
    judging        the answers to reports
    setbacks       trainings that raised, workers that died, checkpoints that cannot be used
    endings        how trials end, and their study
    granting       what users ask of a study that exists
    one_data_set   whether all trainers have the same data
    wanted_models  which checkpoints must stay, and what the study's model is made of

What happened stands in `bandstand.trials`, what is to be tried next in `bandstand.strategies`. It knows no Ray, no
Keras, no database and no clock.
"""
