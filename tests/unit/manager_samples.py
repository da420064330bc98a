# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations that use every word that a network manager has for the table: for its renderer, and for the manager itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, merge

MAC = "02:00:00:00:00:0a"
SAMPLES: dict[str, Any] = {
    "Mac": MAC,
    "Seconds": 8.0,
    "Mask": 8,
    "SetOf": ["02:00:00:00:00:77", "02:00:00:00:00:78"],
    "NameOrNumber": "7",
    "Fwmark": "0x1/0xff",
    "Range": "1000-1999",
    "Addresses": [
        "192.0.2.1/24",
        {"ip": "192.0.2.2/32", "peer_ip": "192.0.2.3", "label": "l:1", "metric": 7, "noprefixroute": True},
        {"ip": "2001:db8::1/64", "nodad": True},
    ],
}
BY_NAME: dict[str, Any] = {
    "lower_device": "eth0",
    "controller": "br0",
    "gateway": "192.0.2.254",
    "source": "192.0.2.1",
    "link": "l-dummy",
    "iif": "l-dummy",
    "oif": "l-dummy",
    "from": "192.0.2.0/24",
    "to": "198.51.100.0/24",
    "ip_protocol": "6",
    "mtu": 1400,
    "bc_cutoff": 2,
    "scope": "link",
    "type": "unicast",
    "action": "prohibit",
}


def sample(row: Attribute) -> Any:
    """A value that is not what a new link has."""
    if row.name in BY_NAME:
        return BY_NAME[row.name]
    name = type(row.type).__name__
    if name in SAMPLES:
        return SAMPLES[name]
    argument = row.type.argument()
    if argument["type"] == "bool":
        return not row.initial
    if argument.get("choices"):
        words = [
            set(one.value_map) for one in (row.networkd, row.networkmanager) if one is not None and one.value_map is not None
        ]
        return next(word for word in argument["choices"] if word != row.initial and all(word in some for some in words))
    return row.type.low + 1  # type: ignore[attr-defined]


def declared(backend: str, version: int) -> tuple[Desired, ...]:
    """A link of each kind that the backend can create, a port, a route and a rule, with all settings of this version."""

    def options(rows: tuple[Attribute, ...], but: tuple[str, ...] = ()) -> dict[str, Any]:
        words = [(row, getattr(row, backend)) for row in rows if row.name not in but]
        return {row.name: sample(row) for row, spelled in words if spelled is not None and spelled.since <= version}

    def entry(kind: Kind) -> dict[str, Any]:
        found = options(kind.options, ("controller", "peer"))
        if backend == "networkmanager":
            found.update(addresses=["192.0.2.1/24", "2001:db8::1/64"], **({"mode": "passthru"} if "mode" in found else {}))
        return {"name": "br0" if kind.name == "bridge" else f"l-{kind.name}", **found}

    def is_creatable(kind: Kind) -> bool:
        return all(getattr(kind[name], backend) is not None for name in kind.needs if name != "peer")

    lists = {kind.name: [entry(kind)] for kind in KINDS.values() if is_creatable(kind)}
    (end,) = lists["veth"]
    end["peer"] = {"name": "l-peer", **{name: value for name, value in end.items() if name != "name"}}
    (lower,) = lists["vlan"]
    lower["lower_device"] = "br0"
    lists["dummy"].append({"name": "l-port", "controller": "br0", "admin_state": "up"})
    lists["bridge_port"] = [{"port": "l-port", **options(PORT)}]
    lists["routes"] = [{"destination": "203.0.113.0/24", "table": "107", "metric": 5, **options(ROUTE.options)}]
    lists["rules"] = [{"priority": 107, **options(RULE.options)}]
    return desired_objects(lists)


def desired_objects(lists: Mapping[str, list[dict[str, Any]]]) -> tuple[Desired, ...]:
    """What the lists of a topology declare."""
    return merge(desired_topology(lists), describe_attribute)
