"""In which order, in which pieces and in which process the trials of a program are trained.

Knows chance and programs. Must not know training.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.oracle.programs import Program

__all__ = ["Piece", "Trial", "make_schedule"]


@dataclass(frozen=True)
class Trial:
    """A trial of a program's point."""

    number: int
    point: int  # index


@dataclass(frozen=True)
class Piece:
    """Epochs of a trial that a process trains at a stretch."""

    trial: Trial
    until_epoch: int
    place: int  # 0: the first process; 1: another one, after it


def make_schedule(seed: int, program: Program) -> list[Piece]:
    """Every point once, one of them twice, in random order; some paused, and resumed here or elsewhere."""
    chance = random.Random(f"schedule {seed} {program.number}")
    points = list(range(len(program.points)))
    trials = [Trial(number, point) for number, point in enumerate([*points, chance.choice(points)])]
    pieces: list[list[Piece]] = []
    for trial in trials:
        place = 1 if chance.random() < 0.15 else 0
        whole = [Piece(trial, program.epochs, place)]
        if program.pauses and chance.random() < 0.45:
            pause = chance.randint(1, program.epochs - 1)
            elsewhere = 1 if place or chance.random() < 0.5 else 0
            whole = [Piece(trial, pause, place), Piece(trial, program.epochs, elsewhere)]
        pieces.append(whole)
    return _shuffled(chance, pieces)


def _shuffled(chance: random.Random, pieces: list[list[Piece]]) -> list[Piece]:
    """All pieces by place, each trial's in their order."""
    turns = [index for index, whole in enumerate(pieces) for _ in whole]
    chance.shuffle(turns)
    left = [iter(whole) for whole in pieces]
    return sorted((next(left[index]) for index in turns), key=lambda piece: piece.place)
