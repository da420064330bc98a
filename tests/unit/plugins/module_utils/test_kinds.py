# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table is sound, and the documentation says what the table says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    INFO_ARGUMENTS,
    PROBE_ARGUMENTS,
    argument_spec,
    guarded,
    hairpin_argument_spec,
    port_argument_spec,
    route_argument_spec,
    rule_argument_spec,
    topology_argument_spec,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Kind, Store, always
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK, kind_of

ALL = [*KINDS.values(), LINK, ROUTE, RULE]
ROWS = {f"{kind.name}.{row.name}": row for kind in ALL for row in kind.attributes}
COLLECTION = "ansible_collections.patchbay.netdev.plugins"

Options = dict[str, dict[str, Any]]


@pytest.mark.parametrize("kind", ALL, ids=[kind.name for kind in ALL])
def test_every_name_is_used_once(kind: Kind) -> None:
    """Names of options and their aliases together."""
    names = [name for row in kind.attributes for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row_is_complete(row: Any) -> None:
    """What is a netlink attribute has its name, a flag has one bit, and what a new link has is a value of the type."""
    named = row.store not in (Store.FLAG, Store.ALTNAME, Store.SYSCTL, Store.PEER, Store.NODE, Store.ADDRESS)
    named = named and row.name not in ("type", "scope", "onlink", "action")  # which stand in the header of a message
    assert bool(re.fullmatch(r"(IFLA|RTA|RTAX|FRA)_[A-Z0-9]+(_[A-Z0-9]+)*", row.nla)) == named, row.nla
    flagged = row.store in (Store.FLAG, Store.DATA_FLAG)
    assert (bin(row.bit).count("1") == 1) == flagged, row.bit
    if row.initial is not None:
        assert row.type.parse(row.type.returned(row.initial)) == row.initial
    assert re.fullmatch(r"|\d+\.\d+", row.since)


@pytest.mark.parametrize("kind", ALL, ids=[kind.name for kind in ALL])
def test_bits_of_one_word_differ(kind: Kind) -> None:
    """Two rows with one bit would be one flag."""
    bits = [(row.store, row.nla, row.bit) for row in kind.attributes if row.bit]
    assert len(bits) == len(set(bits))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_netlink_names_are_those_of_the_kind(kind: Kind) -> None:
    """Data of the kind begins with its name, all else does not, and no two rows share one but flags."""
    word = {"bridge": "BR"}.get(kind.name, kind.name.upper())
    for row in kind.attributes:
        own = row.store in (Store.DATA, Store.DATA_FLAG, Store.SOURCES)
        assert row.nla.startswith(f"IFLA_{word}_") == own, row.name
        assert row.nla.startswith("IFLA_BRPORT_") == (row.store is Store.PORT), row.name
    names = [row.nla for row in kind.attributes if row.nla and row.store is not Store.DATA_FLAG]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_creation_fixes_needs_another_creation(row: Any) -> None:
    """Or a change would be acknowledged by the kernel and not done."""
    assert (row.recreate_if is always) == (row.at is At.CREATION)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kind_knows_its_rows(kind: Kind) -> None:
    """It has those of every link, and of a port if it can be one, and those that it needs to be created."""
    assert kind_of(kind.name) is kind
    assert {row.name for row in LINK.options} <= {row.name for row in kind.options}
    assert kind.port in ((), LINK.port)
    assert kind.attributes == kind.options + kind.port
    assert all(kind[name].name == name for name in kind.needs)
    first = kind.attributes[0].name
    assert [row.name for row in kind.rows({"mtu": 1, first: "x", "nothing": 2})] == [first, "mtu"]
    with pytest.raises(KeyError):
        kind["nothing"]


def test_kind_that_the_table_has_not() -> None:
    """It has what every link has."""
    assert kind_of("vxlan") is LINK
    assert kind_of("") is LINK


def test_routes_and_rules() -> None:
    """Kinds as well, but of no link."""
    assert (kind_of("route"), kind_of("rule")) == (ROUTE, RULE)
    assert not {"route", "rule"} & KINDS.keys()


# --- the documentation ---


def documented(*fragments: str) -> Options:
    """The options of a module from its doc fragments, merged as Ansible does."""
    found: Options = {}
    for name in fragments:
        file, _dot, variant = name.partition(".")
        fragment = importlib.import_module(f"{COLLECTION}.doc_fragments.{file}").ModuleDocFragment
        options = yaml.safe_load(getattr(fragment, variant.upper() or "DOCUMENTATION"))["options"]
        assert not found.keys() & options.keys(), found.keys() & options.keys()
        found.update(options)
    return found


def of_module(name: str) -> Options:
    """The options that a module documents itself, and those of the fragments that it names."""
    documentation = yaml.safe_load(importlib.import_module(f"{COLLECTION}.modules.{name}").DOCUMENTATION)
    named = [item.split(".", 2)[2] for item in documentation["extends_documentation_fragment"]]
    fragments = [name for name in named if name.split(".")[0] != "module"]
    return {**documentation.get("options", {}), **documented(*fragments)}


def contract(options: Options, inner: str) -> Options:
    """What of an option both the documentation and the argument specification say; `inner` is their word for suboptions."""
    words = ("type", "elements", "choices", "aliases", "default", "required")
    return {
        name: {
            **{word: option[word] for word in words if option.get(word) not in (None, False)},
            **({"options": contract(option[inner], inner)} if inner in option else {}),
        }
        for name, option in options.items()
    }


SPECIFICATIONS = {
    **{name: guarded(argument_spec(kind)) for name, kind in KINDS.items()},
    "link": guarded(argument_spec(LINK)),
    "bridge_port": guarded(port_argument_spec()),
    "bridge_hairpin": guarded(hairpin_argument_spec()),
    "route": guarded(route_argument_spec()),
    "rule": guarded(rule_argument_spec()),
    "topology": guarded(topology_argument_spec()),
    "link_info": INFO_ARGUMENTS,
    "address_probe": PROBE_ARGUMENTS,
}


@pytest.mark.parametrize("module", SPECIFICATIONS)
def test_documentation_says_what_the_specification_says(module: str) -> None:
    """Every option, its type, choices, aliases and default, and nothing else; topology's entries with it."""
    assert contract(of_module(module), "suboptions") == contract(SPECIFICATIONS[module], "options")


def test_action_group_has_the_modules_of_single_objects() -> None:
    """Those that change something, so that module_defaults reach them: the action group of meta/runtime.yml."""
    root = Path(__file__).parents[4]
    changing = {path.stem for path in (root / "plugins/modules").glob("*.py") if "guarded(" in path.read_text(encoding="utf-8")}
    runtime = yaml.safe_load((root / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["links"] == sorted(changing - {"topology"})


@pytest.mark.parametrize("kind", [*KINDS.values(), ROUTE, RULE], ids=lambda kind: kind.name)
def test_every_row_is_documented(kind: Kind) -> None:
    """In its module and in topology, with the same text."""
    alone = of_module(kind.name)
    together = of_module("topology")[kind.name if kind.name in KINDS else f"{kind.name}s"]["suboptions"]
    for row in kind.options:
        assert alone[row.name]["description"]
        assert alone[row.name] == together[row.name]


def test_texts_of_options_name_no_other_option() -> None:
    """Topology has them one level deeper, where such a reference would be wrong."""
    for name, option in documented("link", "on_lower_device").items():
        assert not re.search(r"\b[OV]\(", " ".join(option["description"])), name


@pytest.mark.parametrize(
    ("documentation", "specification"),
    [
        ({"a": {"type": "int"}}, {"a": {"type": "str"}}),
        ({}, {"a": {"type": "str"}}),
        ({"a": {"type": "str"}}, {}),
        ({"a": {"type": "str", "choices": ["x"]}}, {"a": {"type": "str", "choices": ["x", "y"]}}),
        ({"a": {"type": "str"}}, {"a": {"type": "str", "aliases": ["b"]}}),
        ({"a": {"type": "str", "required": True}}, {"a": {"type": "str"}}),
        ({"a": {"type": "dict", "suboptions": {}}}, {"a": {"type": "dict", "options": {"b": {"type": "str"}}}}),
    ],
)
def test_difference_is_seen(documentation: Options, specification: Options) -> None:
    """The comparison of the tests above can fail."""
    assert contract(documentation, "suboptions") != contract(specification, "options")
