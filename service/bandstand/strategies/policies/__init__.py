"""Policies: whole strategies that are chosen like a sampler and allocate epochs themselves, one file each."""
