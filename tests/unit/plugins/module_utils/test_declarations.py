# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wrote comes back from its declaration as it was, option by option, and one run's words lie over another's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    topology_argument_spec,
    topology_lists,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import (
    FORMAT,
    from_text,
    path_of,
    to_text,
    with_both_ends,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._merging import completed, merge_task, overlaid
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import awaited_links
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredKey, DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RuleKey, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import Addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf, Text, Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, Network
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import AltName, LinkName, NameOrNumber, Reference
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import (
    FileMode,
    Fwmark,
    Integer,
    Mask,
    Range,
    Seconds,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import Sysctls
from ansible_collections.patchbay.netdev.tests.unit.manager_samples import desired_objects

MAC, OTHER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
# What is asked of one run, and means nothing at boot.
OF_ONE_RUN = {"state", "recreate", "persist", "force", "wait_dad", "announce"}
ROWS = {
    **{name: kind.options for name, kind in KINDS.items()},
    "link": LINK.options,
    "bridge_port": PORT,
    "routes": ROUTE.options,
    "rules": RULE.options,
}
# The least that an entry of each list needs.
LEAST: dict[str, dict[str, Any]] = {
    "netns": {"name": "blue"},
    "bridge_port": {"port": "p0"},
    "routes": {"destination": "192.0.2.0/24", "table": "main"},
    "rules": {"priority": 100},
    **{name: {"name": "x0"} for name in [*KINDS, "link"]},
}
OTHERS: dict[str, list[Any]] = {  # options that are no attributes
    "name": ["x1", "ü☎"],
    "port": ["p1"],
    "netns": ["red"],
    "lower_device_netns": ["green"],
    "lower_device_state": ["up", "require"],
    "allow_wireless": [True],
    "altnames_exact": [True],
    "bridge": ["br0"],
    "destination": ["default", "2001:db8::/32", "198.51.100.7"],
    "family": ["ipv4", "ipv6"],
    "table": ["main", "77", "mine"],
    "metric": [0, 5],
    "priority": [1, 32000],
    "dhcp4": [
        {},
        {"enabled": False},
        {"client_id": "FF-3e-11-11-01-00-01", "hostname": "old.example.org", "vendor_class": 'Polycom "7"'},
        {"client_id": "duid", "use_main_table": True, "metric": 0, "use_routes": False},
        {"client_id": "mac", "use_main_table": True, "metric": 7, "use_dns": True},
    ],
    "source_routing": [
        {"table": "77", "rule_priority": 1077},
        {
            "table": "mine",
            "rule_priority": 1077,
            "gateway": ["192.0.2.1", "fe80::1"],
            "routes": [
                {"destination": "198.51.100.0/24", "gateway": "192.0.2.9", "mtu": 1400, "onlink": True},
                {"destination": "default", "family": "ipv6", "type": "prohibit", "metric": 7},
            ],
            "connected_in_main": True,
        },
    ],
    "peer": [{"name": "y0"}, {"name": "y0", "netns": "red"}],
}
BESIDE = {  # what else has to be written for an option to mean something
    "lower_device_netns": {"lower_device": "eth0"},
    "family": {"destination": "default"},
}


def samples(type_: Type) -> list[Any]:
    """Values of a type at its edges; a type that is not known here has to be put here."""
    if isinstance(type_, Choice):
        return list(type_.settable or type_.codes)
    if isinstance(type_, Mask):
        return [0, type_.high & ~type_.never]
    if isinstance(type_, (Integer, Seconds)):
        return [type_.low, type_.high]
    if isinstance(type_, LinkName):
        return ["br0", ""] if type_.empty else ["br0"]
    if isinstance(type_, SetOf):
        return [[], [value for value in samples(type_.item) if value]]
    if isinstance(type_, Range):
        return [str(type_.low), f"{type_.low}-{type_.high}"]
    return {
        Boolean: [False, True],
        Text: ["", 'Büro: ☎ "1"\n\\'],
        Mac: ["0200.0000.000A"],
        AltName: ["b/c", "a a"],
        NameOrNumber: ["7", "voice"],
        FileMode: ["0660", "7"],
        Reference: ["eth0"],
        Ip: ["192.0.2.1", "2001:DB8::1"],
        Network: ["192.0.2.0/24", "2001:db8::/32", "192.0.2.7"],
        Fwmark: ["1", "0x1/0xff"],
        Sysctls: [{}, {"ipv4.arp_ignore": 1, "ipv6.accept_ra": "0"}],
        Addresses: [
            [],
            ["192.0.2.2/24", "192.0.2.1/24", "2001:db8::1/64"],
            [
                {"ip": "192.0.2.1/32", "peer_ip": "192.0.2.9", "label": "x0:1", "metric": 9, "noprefixroute": True},
                {"ip": "2001:db8::1/64", "nodad": True, "noprefixroute": False},
                {"ip": "2001:db8::2/64", "nodad": False},
            ],
        ],
    }[type(type_)]


def every_option() -> Iterator[Any]:
    """(list of the topology, entry): each option of each list with each sample, and those of the other end of a pair."""
    spec = topology_argument_spec()
    for name in topology_lists():
        rows = {row.name: row for row in ROWS.get(name, ())}
        for option in spec[name]["options"]:
            if option in OF_ONE_RUN:
                continue
            known = option in rows and option != "peer"
            for number, value in enumerate(samples(rows[option].type) if known else OTHERS[option]):
                entry = {**LEAST[name], **BESIDE.get(option, {}), option: value}
                if name == "routes" and ":" in str(value):
                    entry["destination"] = value if option == "destination" else "2001:db8::/32"
                yield pytest.param(name, entry, id=f"{name}-{option}-{number}")
                if name == "veth" and option not in ("name", "netns", "peer"):
                    end = {**LEAST[name], "peer": {"name": "y0", option: value}}
                    yield pytest.param(name, end, id=f"{name}-peer-{option}-{number}")


def desired(lists: Mapping[str, Any]) -> dict[DesiredKey, Desired]:
    """What the lists of a topology say, by key, as far as it has a meaning at boot."""
    return {item.key: comparable(item) for item in desired_objects(with_table(lists))}


def with_table(lists: Mapping[str, Any]) -> dict[str, Any]:
    """With the default of the argument specification."""
    return {name: [{"table": "main", **entry} if name == "routes" else entry for entry in lists[name]] for name in lists}


def declared(lists: Mapping[str, Any]) -> dict[DesiredKey, Desired]:
    """What the lists of a topology say, as it is read from declarations."""
    return {key: from_text(to_text(item), path_of(key)) for key, item in desired(lists).items()}


def comparable(item: Desired) -> Desired:
    """An object without where it was read."""
    more = {"is_primary_end": None} if isinstance(item, DesiredLink) else {}
    return replace(item, origin="", persist=None, **more)


def read_back(item: Desired) -> Desired:
    """An object as it is read from its file."""
    return comparable(from_text(to_text(item), "f"))


@pytest.mark.parametrize(("name", "entry"), list(every_option()))
def test_option_comes_back(name: str, entry: dict[str, Any]) -> None:
    """Each option of each kind: what is read from the declarations is what was read from the task."""
    items = desired({name: [entry]})
    assert {key: read_back(item) for key, item in items.items()} == items


@pytest.mark.parametrize(("name", "entry"), list(every_option()))
def test_declaration_is_stable(name: str, entry: dict[str, Any]) -> None:
    """Saving what was read from a declaration gives the same file: a second run has nothing to write."""
    for item in desired({name: [entry]}).values():
        text = to_text(item)
        read = from_text(text, "f")
        assert to_text(read) == text
        assert to_text(overlaid(read, item)) == text


def test_whole_topology_comes_back() -> None:
    """Entries that name the same link are one declaration, and each end of a pair has its own."""
    items = desired(
        {
            "netns": [{"name": "blue"}],
            "bridge": [{"name": "br0", "stp_state": True}],
            "veth": [{"name": "v0", "controller": "br0", "peer": {"name": "v1", "netns": "blue", "mtu": 1400}}],
            "macvlan": [{"name": "mv0", "lower_device": "eth0"}],
            "link": [{"name": "mv0", "mtu": 1300}, {"name": "eth0", "admin_state": "up"}],
            "bridge_port": [{"port": "v0", "bridge": "br0", "hairpin": True}],
            "routes": [{"destination": "default", "gateway": "192.0.2.1", "table": "7"}],
            "rules": [{"priority": 7, "from": "192.0.2.7", "table": "7"}],
        }
    )
    assert {key: read_back(item) for key, item in items.items()} == items
    assert json.loads(to_text(items[LinkKey("", "v0")])) == {
        "format": FORMAT,
        "veth": {"name": "v0", "controller": "br0", "hairpin": True, "peer": {"name": "v1", "netns": "blue"}},
    }


# --- pairs ---


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_one_end_is_enough_for_the_pair(name: str) -> None:
    """The other one has nothing but its peer then; which of them is the primary one does not depend on which is declared."""
    both = desired({"veth": [{"name": "v0", "mtu": 1400, "peer": {"name": "v1", "mtu": 1300}}]})
    own = both[LinkKey("", name)]
    found = {item.key: item for item in with_both_ends([own])}
    assert found.keys() == both.keys()
    assert {key.name: item.is_primary_end for key, item in found.items()} == {"v0": True, "v1": False}  # type: ignore[union-attr]
    assert comparable(found.pop(own.key)) == own
    ((key, other),) = found.items()
    assert comparable(other) == DesiredLink(key, "veth", True, {"peer": own.key})  # type: ignore[arg-type]


def test_both_ends_are_declared() -> None:
    """Then nothing is added to them."""
    both = desired({"veth": [{"name": "v0", "mtu": 1400, "peer": {"name": "v1", "mtu": 1300}}]})
    assert {item.key: comparable(item) for item in with_both_ends(both.values())} == both


# --- files ---


def test_files_are_named_after_objects() -> None:
    """One for each object, with its namespace in front."""
    keys = [
        NetnsKey("blue"),
        LinkKey("", "mv0"),
        LinkKey("blue", "mv0"),
        RuleKey(RulePriority("", 4, 100)),
        RuleKey(RulePriority("", 4, 100), (("from", "192.0.2.1/32"),)),
        RuleKey(RulePriority("", 4, 100), (("iif", "from=192.0.2.1_32"),)),
        RuleKey(RulePriority("", 4, 100), action="blackhole"),
        RuleKey(RulePriority("blue", 6, 100)),
        RouteKey("", 254, 4, "192.0.2.0/24", 0),
        RouteKey("blue", "mine", 6, "::/0", 1024),
    ]
    assert [path_of(key).removeprefix("/etc/patchbay/replay.d/") for key in keys] == [
        "netns-blue.json",
        "link-mv0.json",
        "link-blue@mv0.json",
        "rule-ipv4-100.json",
        "rule-ipv4-100-from=192.0.2.1_32.json",
        "rule-ipv4-100-iif=from=192.0.2.1_32.json",
        "rule-ipv4-100-blackhole.json",
        "rule-blue@ipv6-100.json",
        "route-192.0.2.0_24-table-254-metric-0.json",
        "route-blue@::_0-table-mine-metric-1024.json",
    ]


def test_no_two_objects_share_a_file() -> None:
    """The name of a link may contain what stands between it and its namespace."""
    assert path_of(LinkKey("", "blue@mv0")) != path_of(LinkKey("blue", "mv0"))
    assert path_of(LinkKey("a", "b@c")) != path_of(LinkKey("a@b", "c"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"format": 2, "macvlan": {"na', "Unterminated string starting at: line 1 column 27 (char 26)"),
        ("[]", "pop expected at most 1 argument, got 2"),
        ("{}", "'format'"),
        ('{"format": 2}', "a declaration must contain exactly one object"),
        ('{"format": 2, "macvlan": []}', "'name'"),
        ('{"format": 2, "macvlan": {}}', "'name'"),
        ('{"format": 2, "macvlan": "mv0"}', "dictionary update sequence element #0 has length 1; 2 is required"),
        ('{"format": 2, "macvlan": {"mtu": 1400}}', "'name'"),
        ('{"format": 2, "macvlan": {"name": null}}', "None is not the name of a link"),
        ('{"format": 2, "macvlan": {"name": "a", "lower_device": 7}}', "7 is not the name of a link"),
        ('{"format": 2, "macvlan": {"name": "a", "controller": ["b"]}}', "['b'] is not the name of a link"),
        (
            '{"format": 2, "macvlan": {"name": "a", "netns": "/proc/1/ns/net"}}',
            "'/proc/1/ns/net' is not the name of a network namespace",
        ),
        ('{"format": 2, "netns": {"name": ""}}', "the namespace has no name"),
        ('{"format": 2, "macvlan": {"name": "a", "admin_state": "on"}}', "'on' is not a valid value of admin_state"),
        ('{"format": 2, "macvlan": {"name": "a", "hairpin": 1}}', "1 is not a valid value of hairpin"),
        ('{"format": 2, "macvlan": {"name": "a", "mtu": true}}', "True is not a valid value of mtu"),
        ('{"format": 2, "macvlan": {"name": "a", "port": "b"}}', "port: not an option of macvlan"),
        ('{"format": 2, "macvlans": {"name": "a"}}', "macvlans is not a known type of object"),
        ('{"format": 2, "macvlan": {"name": "a"}, "link": {"name": "a"}}', "a declaration must contain exactly one object"),
    ],
)
def test_damaged_file_is_named(text: str, why: str) -> None:
    """With what is wrong, as far as it is known, and what to do."""
    with pytest.raises(InvalidValue) as error:
        from_text(text, "/f.json")
    assert str(error.value).partition(": the declaration is damaged (")[0] == "/f.json"
    assert str(error.value).endswith("). Delete the file, or run the task that declares the object again")
    assert text == "[]" or f"({why})." in str(error.value)  # the sentence of Python differs between its releases


@pytest.mark.parametrize("number", [FORMAT + 1, "new"])
def test_later_format_is_refused(number: Any) -> None:
    """Only a later release knows what it means."""
    text = json.dumps({"format": number, "tunnel": {"name": "t0"}})
    with pytest.raises(InvalidValue) as error:
        from_text(text, "/f.json")
    assert str(error.value) == (f"/f.json: format {number} is newer than this release supports ({FORMAT}). Update the collection")


def test_former_format_is_refused() -> None:
    """With the way out."""
    with pytest.raises(InvalidValue) as error:
        from_text('{"format": 1, "topology": {"macvlan": [{"name": "mv0"}]}}', "/f.json")
    assert str(error.value) == (
        f"/f.json: format 1 is no longer supported (current: {FORMAT}). Delete the file, or run the task that declares the "
        "object again"
    )


def test_text_is_readable() -> None:
    """Sorted, a line for each option, and names unescaped: a difference between two runs is a few lines."""
    (item,) = desired({"macvlan": [{"name": "ü", "alias": "☎", "mtu": 1400}]}).values()
    assert to_text(item) == '{\n "format": 2,\n "macvlan": {\n  "alias": "☎",\n  "mtu": 1400,\n  "name": "ü"\n }\n}\n'


def test_only_links_of_the_host_are_awaited() -> None:
    """udev announces no link of another namespace."""
    items = desired(
        {
            "macvlan": [
                {"name": "a", "lower_device": "eth0"},
                {"name": "c", "lower_device": "eth2", "lower_device_netns": "blue"},
            ],
            "vlan": [{"name": "b", "lower_device": "eth1", "netns": "blue"}],
            "dummy": [{"name": "d"}],
        }
    )
    assert awaited_links(items.values()) == {"eth0", "eth1"}


# --- the options of one task over those of another ---

Lists = dict[str, list[dict[str, Any]]]  # of a topology
OVERLAYS: dict[str, tuple[Lists, Lists, Lists]] = {
    "what is not written stays": (
        {"macvlan": [{"name": "x", "mtu": 1400, "alias": "a"}]},
        {"macvlan": [{"name": "x", "mtu": 1300}]},
        {"macvlan": [{"name": "x", "mtu": 1300, "alias": "a"}]},
    ),
    "a list is one thing": (
        {"macvlan": [{"name": "x", "addresses": ["192.0.2.1/24"], "altnames": ["a"]}]},
        {"macvlan": [{"name": "x", "addresses": ["192.0.2.2/24"], "altnames": []}]},
        {"macvlan": [{"name": "x", "addresses": ["192.0.2.2/24"], "altnames": []}]},
    ),
    "settings are many": (
        {"macvlan": [{"name": "x", "sysctls": {"ipv4.arp_ignore": 1, "ipv4.rp_filter": 1}}]},
        {"macvlan": [{"name": "x", "sysctls": {"ipv4.arp_ignore": 2}}]},
        {"macvlan": [{"name": "x", "sysctls": {"ipv4.arp_ignore": 2, "ipv4.rp_filter": 1}}]},
    ),
    "the other end too": (
        {"veth": [{"name": "x", "peer": {"name": "y", "mtu": 1400, "address": MAC, "sysctls": {"ipv4.arp_ignore": 1}}}]},
        {"veth": [{"name": "x", "peer": {"name": "y", "mtu": 1300, "sysctls": {"ipv4.rp_filter": 1}}}]},
        {
            "veth": [
                {
                    "name": "x",
                    "peer": {
                        "name": "y",
                        "mtu": 1300,
                        "address": MAC,
                        "sysctls": {"ipv4.arp_ignore": 1, "ipv4.rp_filter": 1},
                    },
                }
            ]
        },
    ),
    "an end in another place is the same end": (
        {"veth": [{"name": "x", "mtu": 1400, "peer": {"name": "y", "netns": "blue", "address": MAC}}]},
        {"veth": [{"name": "x", "peer": {"name": "y"}}]},
        {"veth": [{"name": "x", "mtu": 1400, "peer": {"name": "y", "address": MAC}}]},
    ),
    "a lower device is where it is written to be": (
        {"macvlan": [{"name": "x", "lower_device": "eth0", "lower_device_netns": "blue"}]},
        {"macvlan": [{"name": "x", "lower_device": "eth1"}]},
        {"macvlan": [{"name": "x", "lower_device": "eth1"}]},
    ),
    "a port beside its link": (
        {"macvlan": [{"name": "x", "mtu": 1400}]},
        {"macvlan": [{"name": "x", "controller": "br0"}], "bridge_port": [{"port": "x", "hairpin": True}]},
        {"macvlan": [{"name": "x", "mtu": 1400, "controller": "br0"}], "bridge_port": [{"port": "x", "hairpin": True}]},
    ),
    "a view becomes the link": (
        {"link": [{"name": "x", "mtu": 1400, "alias": "a"}], "bridge_port": [{"port": "x", "hairpin": True}]},
        {"macvlan": [{"name": "x", "mtu": 1300, "lower_device": "eth0"}]},
        {
            "macvlan": [{"name": "x", "mtu": 1300, "alias": "a", "lower_device": "eth0"}],
            "bridge_port": [{"port": "x", "hairpin": True}],
        },
    ),
    "another kind is another link": (
        {"macvlan": [{"name": "x", "mtu": 1400, "lower_device": "eth0"}], "bridge_port": [{"port": "x", "hairpin": True}]},
        {"dummy": [{"name": "x"}]},
        {"dummy": [{"name": "x"}]},
    ),
    "a rule is all its parts together": (
        {"rules": [{"priority": 7, "from": "192.0.2.7/32", "table": "7", "suppress_prefix_length": 0}]},
        {"rules": [{"priority": 7, "from": "192.0.2.7/32", "table": "8"}]},
        {"rules": [{"priority": 7, "from": "192.0.2.7/32", "table": "8"}]},
    ),
    "gateway and link are one thing": (
        {"routes": [{"destination": "192.0.2.0/24", "gateway": "198.51.100.1", "link": "eth0", "mtu": 1400}]},
        {"routes": [{"destination": "192.0.2.0/24", "gateway": "198.51.100.2"}]},
        {"routes": [{"destination": "192.0.2.0/24", "gateway": "198.51.100.2", "mtu": 1400}]},
    ),
    "a route that goes nowhere has no next hop": (
        {"routes": [{"destination": "192.0.2.0/24", "gateway": "198.51.100.1", "link": "eth0", "onlink": True}]},
        {"routes": [{"destination": "192.0.2.0/24", "type": "blackhole"}]},
        {"routes": [{"destination": "192.0.2.0/24", "type": "blackhole"}]},
    ),
    "a next hop means that the route goes somewhere": (
        {"routes": [{"destination": "192.0.2.0/24", "type": "blackhole"}]},
        {"routes": [{"destination": "192.0.2.0/24", "link": "eth0"}]},
        {"routes": [{"destination": "192.0.2.0/24", "link": "eth0"}]},
    ),
}


@pytest.mark.parametrize(("earlier", "new", "found"), OVERLAYS.values(), ids=OVERLAYS)
def test_overlay(earlier: Lists, new: Lists, found: Lists) -> None:
    """And what differs is a contradiction."""
    before, expected = (declared(lists) for lists in (earlier, found))
    task = [replace(item, persist="replay") for item in desired_objects(with_table(new))]
    merged = merge_task(before, task, State())
    assert {key: comparable(item) for key, item in merged.items.items()} == {k: comparable(item) for k, item in expected.items()}
    without_persist = [replace(item, persist=None) for item in task]
    contradicting = merge_task(before, without_persist, State())
    assert contradicting.warnings
    assert contradicting.items == before
    assert merge_task(expected, without_persist, State()).warnings == ()


def test_first_declaration_is_what_the_task_sets() -> None:
    """Nothing else is declared."""
    (item,) = desired({"macvlan": [{"name": "x", "mtu": 1300}]}).values()
    assert overlaid(None, item) == item


# --- completed from the current state ---


def link(kind: Kind | str, name: str, netns: str = "", **attributes: Any) -> Link:
    """A link as it was observed."""
    return Link(LinkKey(netns, name), kind if isinstance(kind, str) else kind.name, attributes, index=7)


def check_completed(lists: Lists, links: list[Link], expected: Lists) -> None:
    """What is declared of these lists while these links exist."""
    state = State(links)
    assert {key: comparable(completed(item, state)) for key, item in desired(lists).items()} == desired(expected)


def test_macvlan_is_completed() -> None:
    """With its lower device, its mode, and the MAC address that the kernel chose."""
    there = link("macvlan", "x", lower_device=LinkKey("blue", "eth0"), mode="bridge", address=MAC, mtu=1500)
    needed = {"lower_device": "eth0", "lower_device_netns": "blue", "mode": "bridge", "address": MAC}
    check_completed({"macvlan": [{"name": "x", "alias": "a"}]}, [there], {"macvlan": [{"name": "x", "alias": "a", **needed}]})


def test_options_of_the_task_win() -> None:
    """Also over the MAC address that was observed."""
    there = link("macvlan", "x", lower_device=LinkKey("", "eth0"), mode="bridge", address=MAC)
    lists: Lists = {"macvlan": [{"name": "x", "lower_device": "eth0", "mode": "vepa", "address": OTHER_MAC}]}
    check_completed(lists, [there], lists)


def test_passthru_has_the_address_of_its_lower_device() -> None:
    """Another card has another one, so it is not declared."""
    there = link("macvlan", "x", lower_device=LinkKey("", "eth0"), mode="passthru", address=MAC)
    expected: Lists = {"macvlan": [{"name": "x", "lower_device": "eth0", "mode": "passthru"}]}
    check_completed({"macvlan": [{"name": "x"}]}, [there], expected)


def test_ends_of_a_pair_are_completed() -> None:
    """Each in its own declaration, also with its peer if the task omits that."""
    there = link("veth", "x", address=MAC, peer=LinkKey("blue", "y"))
    end = link("veth", "y", "blue", address=OTHER_MAC, peer=LinkKey("", "x"))
    peer = {"name": "y", "netns": "blue"}
    check_completed(
        {"veth": [{"name": "x", "peer": {**peer, "mtu": 1400}}]},
        [there, end],
        {"veth": [{"name": "x", "address": MAC, "peer": {**peer, "mtu": 1400, "address": OTHER_MAC}}]},
    )
    (alone,) = desired({"veth": [{"name": "x"}]}).values()
    assert json.loads(to_text(completed(alone, State([there, end]))))["veth"] == {"name": "x", "address": MAC, "peer": peer}


@pytest.mark.parametrize(
    ("kind", "has", "added"),
    [
        (
            "vlan",
            {"lower_device": LinkKey("", "eth0"), "id": 7, "protocol": "802.1ad"},
            {"lower_device": "eth0", "id": 7, "protocol": "802.1ad"},  # its MAC is that of its lower device
        ),
        ("vrf", {"table": 77}, {"table": 77, "address": MAC}),
        ("bridge", {}, {}),  # its MAC is that of a port
        ("dummy", {}, {"address": MAC}),
    ],
)
def test_options_that_creation_needs_are_added(kind: str, has: dict[str, Any], added: dict[str, Any]) -> None:
    """A task that only changes an existing link need not set them."""
    check_completed({kind: [{"name": "x"}]}, [link(kind, "x", address=MAC, **has)], {kind: [{"name": "x", **added}]})


@pytest.mark.parametrize("lists", [{"link": [{"name": "x"}]}, {"bridge_port": [{"port": "x"}]}, {"netns": [{"name": "x"}]}])
def test_link_that_others_create_is_not_completed(lists: Lists) -> None:
    """Its MAC address is not ours to restore."""
    check_completed(lists, [link("dummy", "x", address=MAC)], lists)


def test_missing_link_is_not_completed() -> None:
    """In check mode it may not exist yet."""
    check_completed({"macvlan": [{"name": "x"}]}, [], {"macvlan": [{"name": "x"}]})


def test_unknown_attribute_is_not_declared() -> None:
    """In check mode the kernel has not chosen it yet."""
    there = link("macvlan", "x", lower_device=LinkKey("", "eth0"), mode="vepa")
    (item,) = desired({"macvlan": [{"name": "x"}]}).values()
    assert "address" not in completed(item, State([there])).attributes
