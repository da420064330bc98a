# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role variables may be texts: `--extra-vars name=false` sets one, and `when` takes each text that is not empty for true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
FILTERS = {"bool": "bool", "int": "int|float|string", "float": "float|int"}
_TEXT = re.compile(r"^\s*(#|[A-Z].*[.!]$|echo |To |tags:|address that)|set \w+=|Set \w+:")  # what only names a variable


def typed_variables() -> Iterator[tuple[str, str, str]]:
    """The role, the name and the type of each variable that is no text."""
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            for name, option in entry["options"].items():
                if option["type"] in FILTERS:
                    yield path.parents[1].name, name, option["type"]


@pytest.mark.parametrize(("role", "name", "kind"), sorted(set(typed_variables())))
def test_variable_is_converted(role: str, name: str, kind: str) -> None:
    """Each use in an expression has the filter of its type, or asks only whether it is defined."""
    use = re.compile(rf"(?<![\w.])({name})(?!\w)(?!\s+is (not )?defined)(?!\s*\|\s*({FILTERS[kind]})\b)")
    found = [
        f"{path.relative_to(ROLES)}:{number}: {line.strip()}"
        for folder in ("tasks", "vars", "handlers", "templates")
        for path in sorted((ROLES / role / folder).rglob("*"))
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if use.search(line) and not _TEXT.search(line)
    ]
    assert found == []
