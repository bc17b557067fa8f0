"""Every option of a sampler, pruner or policy says what it means; the generated reference prints these texts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES, Policy, Pruner, Sampler
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Float, SearchSpace

ENTRIES: dict[str, type[Sampler] | type[Pruner] | type[Policy]] = {**SAMPLERS, **PRUNERS, **STRATEGIES}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_option_has_a_meaning_in_sentences(name: str) -> None:
    for option, field in ENTRIES[name].options.model_fields.items():
        assert field.description is not None, option
        assert re.match(r"[A-Z]", field.description), option
        assert field.description.endswith("."), option


@pytest.mark.parametrize("name", ENTRIES)
def test_the_options_of_an_entry_are_those_that_its_check_knows(name: str) -> None:
    kind = "pruner" if name in PRUNERS else "sampler"
    executor = {"executor": "tune"} if name.startswith("tune") else {}
    space = SearchSpace({"learning_rate": Float(0.1, 1)})
    settings: dict[str, Any] = {kind: name, f"{kind}_options": {"no_such_option": 1}, "space": space, **executor}
    with pytest.raises(ValueError) as refused:
        StudySpec(name="s", model="m:f", data="m:d", budget={"trials": 9}, max_epochs=9, **settings)
    known = ", ".join(ENTRIES[name].options.model_fields)
    assert (f"may be {known}; got" if known else "has no options") in str(refused.value)
