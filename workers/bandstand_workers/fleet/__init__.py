"""Trainers, and the places on the cluster that they stand on."""
