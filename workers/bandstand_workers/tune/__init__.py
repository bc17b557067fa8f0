"""Ray Tune as executor: a study under `ray.tune.Tuner`, with Search and PostgreSQL as before.

The coordinator runs the study as it does with trainer actors, but its trainers are stand-ins: what it asks of one
becomes a call, a *Searcher* suggests the call to Tune, and Tune starts or reuses a trainable for it. So a Tune
trial is one attempt of one of our trials. The trainable tells each epoch to the coordinator, which stores it and
answers, and to Tune, where a *TrialScheduler* returns what Search answered. A trial that pauses ends in Tune; when it
goes on, maybe in another run, that is another attempt and another Tune trial.

Population-based training is the other way round (`population_run`): Tune's own scheduler compares members, which live
as long as Tune's trials, and what it decided is recorded as lineages.

Nothing of Tune's is ever restored. Its folder is removed in the end, and after a crash a new Tuner is built from what
PostgreSQL knows; checkpoints are those of our own trainers. No file of Tune's holds a secret: configs are params and
numbers, and whoever needs the database is the coordinator, which Tune never sees but by its actor handle.
"""
