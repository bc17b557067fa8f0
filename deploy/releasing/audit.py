"""What pip-audit has found, in one line.

Knows pip-audit's JSON. Must not know how it is run.
"""

from __future__ import annotations

import json
from typing import NamedTuple

__all__ = ["Audit", "audit_from"]


class Audit(NamedTuple):
    """The result for the packages of a release."""

    said: str
    """One line for whoever releases."""
    is_done: bool
    """Whether any package was looked up."""
    vulnerable: list[str]
    """Package and version, as `urllib3 1.24`."""


def audit_from(answer: str) -> Audit:
    """Read pip-audit's JSON. A package that its data do not have was not audited, though pip-audit ends well then."""
    packages = json.loads(answer)["dependencies"]
    audited = [package for package in packages if "skip_reason" not in package]
    vulnerable = [f"{one['name']} {one['version']}" for one in audited if one["vulns"]]
    if not audited:
        said = f"audit: not done, because pip-audit's data have none of the {len(packages)} packages"
        return Audit(said, is_done=False, vulnerable=[])
    found = f"known vulnerabilities in {', '.join(vulnerable)}" if vulnerable else "no known vulnerability"
    said = f"audit: {found}; {len(audited)} of {len(packages)} packages were looked up"
    return Audit(said, is_done=True, vulnerable=vulnerable)
