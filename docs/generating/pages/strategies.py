"""Samplers, pruners and policies with their options, from the registries."""

from __future__ import annotations

from collections.abc import Mapping

from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES, Policy, Pruner, Sampler
from bandstand.study.study_spec import StudySpec
from docs.generating.markdown import anchor, code, page, table
from docs.generating.settings import settings_table

__all__ = ["make"]

Entry = type[Sampler] | type[Pruner] | type[Policy]


def make() -> str:
    """The page."""
    usual = StudySpec.model_fields["sampler"].default
    return page(
        "Strategies",
        "A strategy decides which params are tried next, and for how long each trial trains. A study names it by the "
        "settings `sampler` and `pruner` of its [study file](study-file.md).",
        "* A *sampler* proposes params for new trials. Its options stand in the table `[sampler_options]`.\n"
        "* A *pruner* decides how long a trial trains. Its options stand in the table `[pruner_options]`.\n"
        "* A *policy* is a whole strategy. It is named by `sampler`, its options stand in `[sampler_options]`, and it "
        "has no pruner.",
        f"Any sampler works with any pruner. In a study file the default sampler is `{usual}`. The default pruner is "
        '`asha`; write `pruner = "none"` to train every trial in full. In `--strategies` of `bandstand compare` and '
        "`bandstand simulate`, a sampler without `+PRUNER` has no pruner.",
        _part("Samplers", SAMPLERS, "sampler_options"),
        _part("Pruners", PRUNERS, "pruner_options"),
        _part("Policies", STRATEGIES, "sampler_options"),
    )


def _part(title: str, registry: Mapping[str, Entry], options: str) -> str:
    kind = title.lower().removesuffix("s").replace("policie", "policy")
    rows = [(f"[{code(name)}](#{anchor(_heading(kind, name))})", entry.summary) for name, entry in registry.items()]
    parts = [f"## {title}", table((kind, "what it does"), rows)]
    for name, entry in registry.items():
        parts += [f"### {_heading(kind, name)}", entry.summary, _options(entry, options)]
    return "\n\n".join(parts)


def _heading(kind: str, name: str) -> str:
    return f"{kind.capitalize()} {name}"


def _options(entry: Entry, options: str) -> str:
    if not entry.options.model_fields:
        return "It has no options."
    return f"Options in `[{options}]`:\n\n{settings_table(entry.options, column='option')}"
