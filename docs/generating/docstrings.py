"""Examples in docstrings are shown as code: the docstrings' section is `Example:`, and griffe knows `Examples:` only.

Knows griffe. Must not know whose docstrings they are.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["ExamplesAreCode"]


class ExamplesAreCode(griffe.Extension):
    """Renames the section in what griffe has read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
