"""Bandstand's workers: everything that touches Keras, TensorFlow or Ray.

`python -m bandstand_workers` is the process that runs studies: it starts or joins a Ray cluster, keeps a fleet of
trainers, and runs each study under a coordinator.

    coordinator  one per study: feeds Search with what trainers report, stores, answers; knows no Keras
    fleet        starts trainers, replaces dead ones; knows resources, no decisions
    training     builds, restores and trains one trial; knows no Ray
    programs     an epoch as one compiled program, kept and used again
    dispatch     takes a server's submissions to the Ray cluster
    tune         the same studies under Ray Tune

`models` and `datasets` hold the builders and loaders that the built-in studies name.
"""
