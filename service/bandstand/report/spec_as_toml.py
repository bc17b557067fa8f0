"""A StudySpec as the study file that gives it back."""

from __future__ import annotations

from bandstand.study.study_spec import StudySpec
from bandstand_spaces.toml_writer import make_toml

__all__ = ["toml_from"]


def toml_from(spec: StudySpec) -> str:
    """The complete study file: `study_spec_from(tomllib.loads(text), source)` is `spec` again.

    Defaults are written out, so that the file means the same where they have changed; what is empty is left out. The
    search space is written in full, even where the study named it.

    Raises:
        ValueError: an option's value has no form in TOML, such as None.
    """
    settings = spec.model_dump(mode="python", exclude={"space", "budget", "objective", "resources"})
    for name in ("objective", "budget", "resources"):
        settings[name] = getattr(spec, name).model_dump(exclude_none=True, exclude={"told_by_name"})
    if isinstance(spec.class_weight, dict):
        settings["class_weight"] = {str(label): weight for label, weight in spec.class_weight.items()}
    settings["space"] = spec.space.to_dict()
    return make_toml({name: value for name, value in settings.items() if value not in (None, "", (), {})})
