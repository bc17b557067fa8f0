"""TOML blocks that show some settings of a study: they must be valid in the study of their page.

Knows how settings are put over those of another study. Must not know pages.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from bandstand.errors import InputError
from bandstand.study.study_spec import study_spec_from

__all__ = ["USUAL_STUDY", "check_fragment"]

USUAL_STUDY: Mapping[str, Any] = {
    "name": "example",
    "model": "train:build",
    "data": "train:load",
    "max_epochs": 27,
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "budget": {"epochs": 500},
    "space": {
        "units": {"type": "int", "low": 16, "high": 256, "step": 16},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    },
}
"""What a fragment changes on a page that has no study file."""

_MERGED = ("objective", "budget", "resources", "space")
"""Tables whose other settings stay; of any other the fragment's is the whole."""
_OF_THE_STRATEGY = ("sampler_options", "pruner", "pruner_options")


def check_fragment(text: str, study: Mapping[str, Any]) -> None:
    """See whether a study with these settings is valid.

    Args:
        text: some settings, as TOML.
        study: the settings that they change. Another sampler comes without the options and the pruner of the former.

    Raises:
        InputError: one line with the rule that is broken.
    """
    try:
        changes = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"this is no TOML: {error}") from None
    settings = dict(study)
    if "sampler" in changes:
        settings = {name: value for name, value in settings.items() if name not in _OF_THE_STRATEGY}
    for name, value in changes.items():
        before = settings.get(name)
        if name in _MERGED and isinstance(value, dict) and isinstance(before, Mapping):
            settings[name] = {**before, **value}
        else:
            settings[name] = value
    study_spec_from(settings, "the study")
