"""Bandstand's workers: everything that touches Keras, TensorFlow or Ray.

`python -m bandstand_workers` is the process that runs studies: it starts or joins a Ray cluster, keeps a fleet of trainers, and
runs each study under a coordinator.

    fleet        starts trainers, replaces dead ones; knows resources, no decisions
    coordinator  one per study: feeds Search with what trainers report, stores, answers; knows no Keras
    trainer      a long-lived process that owns its CPUs or GPU; a thin shell around
    training     builds, restores and trains one trial; knows no Ray
    callbacks, checkpoints, batches, user_code   the parts of a training

`models` and `datasets` hold the builders and loaders that the built-in studies name.
"""
