# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of the house: which file may know what. Each rule reads the syntax of plugins/, and can fail: see the last tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
ENGINE = "module_utils"
INNER = f"ansible_collections.patchbay.netdev.plugins.{ENGINE}."

# From the ground up. A file may import from its own floor and from floors below. A folder is one room.
FLOORS = (
    ("_model",),
    ("_values",),
    ("_kinds",),
    ("_argspec", "_operations"),
    ("_boot", "_plan"),
    ("_gateway",),
    ("_converge",),
    ("_host_program", "_result"),
    ("_runner",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
KNOWS_ANSIBLE = ("_runner", "_argspec")
KNOWS_PYROUTE2 = ("_gateway",)
NO_NAMES = ("utils", "helpers", "common")
GATEWAY_PARTS = ("kernel", "dhcp", "host")
GATEWAY = f"{ENGINE}/_gateway/_gateway.py"  # which composes them
ONE_PLACE = {"subprocess": f"{ENGINE}/_gateway/_commands.py", "pyroute2": f"{ENGINE}/_gateway/kernel/_codec.py"}

Tree = Mapping[str, ast.Module]  # path below plugins/ -> syntax
Found = Iterator[str]


def read(folder: Path) -> Tree:
    """The syntax of every Python file below a folder."""
    files = sorted(path for path in folder.rglob("*.py"))
    return {path.relative_to(folder).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def room(path: str) -> str:
    """The room of a file of the engine: `_model` for module_utils/_model.py, `_gateway` for all below that folder."""
    return path.split("/")[1].removesuffix(".py") if path.startswith(f"{ENGINE}/") and path.count("/") else ""


def imported(module: ast.Module) -> Iterator[str]:
    """Everything that a file imports, at whatever depth, by import, by importlib, or by the text of such a call."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__", "find_spec"):
                texts = [part.value for argument in node.args for part in ast.walk(argument) if isinstance(part, ast.Constant)]
                yield from (str(text) for text in texts)


def below(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of these packages or something in them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def rooms_used(path: str, module: ast.Module) -> set[str]:
    """The other rooms of the engine that a file uses."""
    used = {name[len(INNER) :].split(".")[0] for name in imported(module) if name.startswith(INNER)}
    return used - {room(path)}


# --- the rules: each yields a sentence for every offence ---


def only_two_files_know_ansible(tree: Tree) -> Found:
    """The rest runs without it, on any machine."""
    for path, module in tree.items():
        if path.startswith(f"{ENGINE}/") and room(path) not in KNOWS_ANSIBLE:
            yield from (f"{path} imports {name}" for name in imported(module) if below(name, "ansible"))


def only_the_gateway_knows_pyroute2(tree: Tree) -> Found:
    """One place to look at when the library changes."""
    for path, module in tree.items():
        if room(path) not in KNOWS_PYROUTE2:
            yield from (f"{path} imports {name}" for name in imported(module) if below(name, "pyroute2", "pr2modules"))


def every_room_has_a_floor(tree: Tree) -> Found:
    """A new file is put somewhere on purpose; what has gone leaves no place behind."""
    rooms = {room(path) for path in tree if room(path)} - {"__init__"}
    yield from (f"{name} has no floor" for name in sorted(rooms - FLOOR.keys()))
    yield from (f"{name} has a floor and is not there" for name in sorted(FLOOR.keys() - rooms))


def no_import_runs_up(tree: Tree) -> Found:
    """Neither between floors, nor from the engine to a module."""
    for path, module in tree.items():
        if not room(path):
            continue
        for name in imported(module):
            if name.startswith("ansible_collections.") and not name.startswith(INNER):
                yield f"{path} imports {name}"
        used = sorted(rooms_used(path, module))
        yield from (f"{path} uses {name}" for name in used if FLOOR.get(name, 99) > FLOOR.get(room(path), 99))


def no_circle(tree: Tree) -> Found:
    """Of files, which is finer than rooms."""
    graph: dict[str, set[str]] = {}
    for path, module in tree.items():
        names = {name[len(INNER) :] for name in imported(module) if name.startswith(INNER)}
        files = {f"{ENGINE}/{'/'.join(name.split('.')[:depth])}.py" for name in names for depth in (1, 2, 3)}
        graph[path] = files & tree.keys()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"a circle: {' -> '.join(error.args[1])}"


def no_relative_import(tree: Tree) -> Found:
    """The other rules read full names, and Ansible packs modules by them."""
    for path, module in tree.items():
        nodes = [node for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and node.level]
        yield from (f"{path} imports {'.' * node.level}{node.module or ''}" for node in nodes)


def modules_are_thin(tree: Tree) -> Found:
    """Documentation and a main of two statements."""
    for path, module in tree.items():
        if not path.startswith("modules/") or path.endswith("__init__.py"):
            continue
        functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
        if set(functions) != {"main"} or any(isinstance(node, ast.ClassDef) for node in ast.walk(module)):
            yield f"{path} has more in it than main"
            continue
        body = [
            node for node in functions["main"].body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ]
        if len(body) != 2:
            yield f"{path} has a main of {len(body)} statements"


def no_drawer_for_everything(tree: Tree) -> Found:
    """A file says by its name what it is about."""
    for path in tree:
        yield from (f"{path} is a drawer for everything" for part in re.split(r"[/.]", path) if part.strip("_") in NO_NAMES)


def gateway_parts_know_nothing_of_each_other(tree: Tree) -> Found:
    """One file composes them; what two of them need stands beside it, and knows none of them."""
    for path, module in tree.items():
        if not path.startswith(f"{ENGINE}/_gateway/") or path == GATEWAY:
            continue
        part = path.split("/")[2]
        others = [f"{INNER}_gateway.{name}" for name in ("_gateway", *GATEWAY_PARTS) if name != part]
        yield from (f"{path} imports {name[len(INNER) :]}" for name in imported(module) if below(name, *others))


def one_file_has_what_all_use(tree: Tree) -> Found:
    """A second way to run a command, or to load pyroute2, would soon differ from the first."""
    for path, module in tree.items():
        for library, place in ONE_PLACE.items():
            if path.startswith(f"{ENGINE}/") and path != place:
                yield from (f"{path} imports {name}" for name in imported(module) if below(name, library))


def packages_are_empty(tree: Tree) -> Found:
    """Importing one room opens no other."""
    yield from (f"{path} is not empty" for path, module in tree.items() if path.endswith("__init__.py") and module.body)


def only_the_runner_knows_check_mode(tree: Tree) -> Found:
    """Check mode is the plan, not applied: nothing else may ask for it. (Modules say that they support it.)"""
    for path, module in tree.items():
        if room(path) in ("", "_runner"):
            continue
        for node in ast.walk(module):
            words = [getattr(node, word, None) for word in ("id", "attr", "arg", "name", "value")]
            if any(isinstance(word, str) and re.fullmatch(r"_?(ansible_)?check_mode", word) for word in words):
                yield f"{path} knows check mode (line {getattr(node, 'lineno', 0)})"


RULES: dict[str, Callable[[Tree], Found]] = {
    rule.__name__: rule
    for rule in (
        only_two_files_know_ansible,
        only_the_gateway_knows_pyroute2,
        every_room_has_a_floor,
        no_import_runs_up,
        no_circle,
        no_relative_import,
        modules_are_thin,
        no_drawer_for_everything,
        gateway_parts_know_nothing_of_each_other,
        one_file_has_what_all_use,
        packages_are_empty,
        only_the_runner_knows_check_mode,
    )
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule(rule: Callable[[Tree], Found]) -> None:
    """Holds for all of plugins/."""
    tree = read(PLUGINS)
    assert len(tree) > len(FLOOR)
    assert list(rule(tree)) == []


# --- the rules can fail ---

MAIN = '"""Documentation."""\n\n\ndef main():\n    """Run."""\n    one()\n    two()\n'
HOUSE = {
    **{f"{ENGINE}/{name}.py": "" for name in FLOOR if name != "_gateway"},
    f"{ENGINE}/__init__.py": "",
    f"{ENGINE}/_gateway/__init__.py": "",
    f"{ENGINE}/_gateway/_kernel.py": f"from {INNER}_model import Link\n",
    f"{ENGINE}/_gateway/kernel/_codec.py": "import importlib\nimportlib.import_module('pyroute2.x')\n",
    f"{ENGINE}/_gateway/_commands.py": "import subprocess\n",
    f"{ENGINE}/_gateway/_gateway.py": f"from {INNER}_gateway.kernel import _codec\nfrom {INNER}_gateway._kernel import x\n",
    f"{ENGINE}/_runner.py": f"from ansible.module_utils.basic import x\nfrom {INNER}_converge import y\nmodule.check_mode\n",
    f"{ENGINE}/_converge.py": f"from {INNER}_gateway._kernel import x\n",
    "modules/macvlan.py": MAIN,
}
PLANTED: list[tuple[str, str, str, str]] = [
    # rule, file, its text, the offence
    ("only_two_files_know_ansible", "_plan", "from ansible.errors import X", "imports ansible.errors.X"),
    ("only_two_files_know_ansible", "_plan", "import ansible", "imports ansible"),
    (
        "only_two_files_know_ansible",
        "_plan",
        "def f():\n    from ansible.module_utils import basic",
        "imports ansible.module_utils.basic",
    ),
    ("only_two_files_know_ansible", "_gateway/_kernel", "import ansible.release", "imports ansible.release"),
    ("only_the_gateway_knows_pyroute2", "_plan", "import pyroute2", "imports pyroute2"),
    ("only_the_gateway_knows_pyroute2", "_runner", "from pyroute2.netlink import nla", "imports pyroute2.netlink.nla"),
    ("only_the_gateway_knows_pyroute2", "_converge", "import_module('pr2modules.netlink')", "imports pr2modules.netlink"),
    ("only_the_gateway_knows_pyroute2", "_converge", "importlib.import_module(f'pyroute2.{name}')", "imports pyroute2."),
    ("only_the_gateway_knows_pyroute2", "_plan", "__import__('pyroute2')", "imports pyroute2"),
    ("every_room_has_a_floor", "_extra", "", "_extra has no floor"),
    ("every_room_has_a_floor", "_attic/_box", "", "_attic has no floor"),
    ("no_import_runs_up", "_model", f"from {INNER}_values import Mac", "uses _values"),
    ("no_import_runs_up", "_gateway/_deep", f"def f():\n    import {INNER}_converge", "uses _converge"),
    ("no_import_runs_up", "_plan", f"from {INNER[:-1]} import _runner", "uses _runner"),
    (
        "no_import_runs_up",
        "_plan",
        "from ansible_collections.patchbay.netdev.plugins.modules import macvlan",
        "plugins.modules.macvlan",
    ),
    ("no_circle", "_model", f"from {INNER}_kinds import X", ""),
    ("no_circle", "_gateway/_a", f"from {INNER}_gateway._kernel import X", ""),
    ("no_relative_import", "_plan", "from . import _model", "imports ."),
    ("no_relative_import", "_gateway/_kernel", "from .._model import Link", "imports .._model"),
    ("modules_are_thin", "../modules/fat", MAIN + "    three()\n", "has a main of 3 statements"),
    ("modules_are_thin", "../modules/fat", MAIN + "def more():\n    pass\n", "has more in it than main"),
    ("modules_are_thin", "../modules/fat", "main = 5", "has more in it than main"),
    ("modules_are_thin", "../modules/fat", MAIN + "class More:\n    pass\n", "has more in it than main"),
    ("no_drawer_for_everything", "_utils", "", "is a drawer for everything"),
    ("no_drawer_for_everything", "../filter/helpers", "", "is a drawer for everything"),
    ("no_drawer_for_everything", "common/_thing", "", "is a drawer for everything"),
    (
        "gateway_parts_know_nothing_of_each_other",
        "_gateway/dhcp/_a",
        f"from {INNER}_gateway.kernel._b import X",
        "_gateway.kernel._b.X",
    ),
    ("gateway_parts_know_nothing_of_each_other", "_gateway/host/_a", f"from {INNER}_gateway import dhcp", "_gateway.dhcp"),
    ("gateway_parts_know_nothing_of_each_other", "_gateway/kernel/_a", f"from {INNER}_gateway._gateway import X", "_gateway.X"),
    ("gateway_parts_know_nothing_of_each_other", "_gateway/_shared", f"from {INNER}_gateway.host import _b", "_gateway.host._b"),
    ("one_file_has_what_all_use", "_gateway/host/_a", "def f():\n    import subprocess", "imports subprocess"),
    ("one_file_has_what_all_use", "_gateway/kernel/_a", "import pyroute2", "imports pyroute2"),
    ("packages_are_empty", "_gateway/__init__", "from os import path", "is not empty"),
    ("packages_are_empty", "__init__", "'''Text.'''", "is not empty"),
    ("only_the_runner_knows_check_mode", "_plan", "if module.check_mode:\n    pass", "knows check mode (line 1)"),
    ("only_the_runner_knows_check_mode", "_converge", "def f(check_mode): pass", "knows check mode (line 1)"),
    ("only_the_runner_knows_check_mode", "_converge", "\nf(check_mode=True)", "knows check mode"),
    ("only_the_runner_knows_check_mode", "_argspec", "params['_ansible_check_mode']", "knows check mode (line 1)"),
]


def build(folder: Path, more: Mapping[str, str]) -> Tree:
    """A house of its own, with these files in it."""
    for name, text in {**HOUSE, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read(folder)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_is_kept_by_a_house_in_order(rule: Callable[[Tree], Found], tmp_path: Path) -> None:
    """So that what the next test plants is what is found."""
    assert list(rule(build(tmp_path, {}))) == []


@pytest.mark.parametrize(("rule", "file", "text", "offence"), PLANTED)
def test_rule_can_fail(rule: str, file: str, text: str, offence: str, tmp_path: Path) -> None:
    """It names the offence, and nothing else."""
    path = file[3:] if file.startswith("../") else f"{ENGINE}/{file}"
    more = {f"{path}.py": text}
    if rule == "no_circle":  # the other half of it
        more[f"{ENGINE}/_kinds.py"] = f"from {INNER}_model import X"
        more[f"{ENGINE}/_gateway/_kernel.py"] = f"from {INNER}_gateway._a import X"
    found = list(RULES[rule](build(tmp_path, more)))
    assert len(found) == 1, found
    assert found[0].endswith(offence) or offence in found[0]


def test_rule_sees_a_room_that_has_gone(tmp_path: Path) -> None:
    """Its floor is to be taken out of the plan."""
    tree = {path: module for path, module in build(tmp_path, {}).items() if path != f"{ENGINE}/_plan.py"}
    assert list(every_room_has_a_floor(tree)) == ["_plan has a floor and is not there"]


def test_every_rule_is_shown_to_fail() -> None:
    """One that cannot fail says nothing."""
    assert {rule for rule, *_rest in PLANTED} == RULES.keys()
