"""The base of models that the description of the interface shows: a docstring below a field is its description.

Knows pydantic. Must not know any model.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Described"]


class Described(BaseModel):
    """A model whose fields are described by the docstrings below them."""

    model_config = ConfigDict(use_attribute_docstrings=True)
