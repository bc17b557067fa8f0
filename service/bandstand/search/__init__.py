"""Search: the whole of a study's decisions, as a state machine without input or output.

    events       what happened in a study, one frozen record a fact
    history      the trials as the events so far have left them; budget, failures, lineage and combination read it
    search       what the shells call: what happened goes in, what to do next comes out
    protocol     the words of both sides: Assignment, Verdict, StaleAttemptError
    state        history, strategy, and the events that are not stored yet; the one way in which anything changes
    allocation   giving out work
    judging      the answers to reports
    endings      how trials end, and their study
    requests     what users ask of a study that exists

It knows no Ray, no Keras, no database and no clock.
"""
