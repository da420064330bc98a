# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTRIBUTING names files and functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
ENGINE = CLONE / "plugins/module_utils"
TEXT = (CLONE / "CONTRIBUTING.md").read_text(encoding="utf-8")
REFERENCES = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", TEXT)))


def defined_names(path: Path) -> set[str]:
    """Return the functions, classes and variables that a file defines at its top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize(("path", "name"), REFERENCES)
def test_names_exist(path: str, name: str) -> None:
    """Each `path:name` is defined in that file of the engine."""
    assert name in defined_names(ENGINE / path)


def test_there_are_references() -> None:
    """The pattern matches the names in the text."""
    assert len(REFERENCES) > 20


def test_house_map() -> None:
    """The map lists all folders and files of the engine, each with its floor."""
    from ansible_collections.patchbay.netdev.tests.unit.test_house import FLOOR

    rows = re.findall(r"^\| (\d) \| `(\w+)(?:/|\.py)` \|", TEXT, re.MULTILINE)
    assert {room: int(floor) for floor, room in rows} == FLOOR
