# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner cases: a behavior is a few lines of YAML, written as a user writes a task.

Each file of plan_cases maps titles to cases. A case has

current:     the current state, a list per kind. An entry is a name or the options of that kind, with `carrier: false` or
             `ethernet: false` besides. A macvlan is down and any other link is up, with an MTU of 1500, unless the entry says
             otherwise; null is unknown. A veth has its peer with its options; a bridge port has the defaults of a new port
             where it has no value. `settings` has the sysctls of `all` and `default`, `sysctls` all those of a link.
             `addresses` of a link are texts, or `ip` with what the kernel reports (flags, protocol, valid, client...); IPv6
             addresses have passed duplicate address detection. `routes` and `rules` have the options of the modules, and
             `protocol`, `is_representable`, `hops`. The routes that the kernel adds with addresses, and its own rules, need no
             entry.
             `clients` are DHCP clients with `link`, `source_routing`, the options of dhcp4, and `lease`, `former`,
             `seconds_left`, `is_running`, `matches_link`.
desired:     the options of a topology task
plan:        the operations, as sentences
refused:     instead of a plan: the error for what the kernel would not do
invalid:     instead of a plan: the error in the task itself
warnings:    the warnings of the plan; none if omitted
after:       attributes of links after the plan, where the operations do not name them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    desired_link,
    desired_route,
    desired_rule,
    desired_topology,
    topology_argument_spec,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import shares_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE, Route, Rule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._references import with_names
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import PERMANENT
from ansible_collections.patchbay.netdev.tests.unit.fake_traffic import connected_routes, usual_rules, with_address

FOLDER = Path(__file__).parent / "plugins" / "module_utils" / "plan_cases"
OTHERS = ("sysctls", "settings", "routes", "rules", "clients")  # keys of `current` that are not kinds of links
KEYS = {"current", "desired", "plan", "refused", "invalid", "warnings", "after"}
# What the kernel chooses for a new link where the table has no initial value.
_CHOSEN: Mapping[str, Mapping[str, Any]] = {
    "bridge": {"vlan_filtering": False, "vlan_default_pvid": 1},
    "veth": {"num_tx_queues": 2, "num_rx_queues": 2},
}
OUTCOMES = ("plan", "refused", "invalid")


@dataclass(frozen=True)
class Case:
    """One behavior of the planner; outcome: one of OUTCOMES; expected: its value."""

    current: Mapping[str, Any]
    desired: Mapping[str, Any]
    outcome: str
    expected: Any
    warnings: tuple[str, ...]
    after: Mapping[str, Mapping[str, Any]]

    def items(self) -> tuple[Desired, ...]:
        """The desired state, read as the module reads it."""
        validated = ArgumentSpecValidator(topology_argument_spec()).validate(dict(self.desired))
        assert not validated.error_messages, validated.error_messages
        items = desired_topology(validated.validated_parameters)
        return with_names([self._resolved(item) for item in items], self.state())

    def _resolved(self, item: Desired) -> Desired:
        """The item as the gateway resolves it."""
        item = replace(item, key=_resolved(item.key))
        if isinstance(item, DesiredLink):
            item = replace(item, client=self._client_of(item))
        return item

    def _client_of(self, item: DesiredLink) -> str | None:
        """The client program that the gateway would find: the one that is running."""
        entries = [entry for entry in self.current.get("clients", ()) if entry["link"] == item.key.name]
        return entries[0].get("client") if entries and item.dhcp4 is not None else None

    def state(self) -> State:
        """The current state."""
        kinds = {name: them for name, them in self.current.items() if name not in OTHERS}
        entries = [(kind, {"name": it} if isinstance(it, str) else it) for kind, them in kinds.items() for it in them]
        ends = [end for entry in entries for end in _ends(*entry)]
        links = {link.key: link for link in (_link(*end, number) for number, end in enumerate(ends, 1))}
        for link, (_kind, entry) in zip(list(links.values()), ends):
            controller = links.get(LinkKey(link.key.netns, link.get("controller") or ""))
            if controller and controller.kind == "bridge":
                links[link.key] = link = link.with_attributes(_port(link, entry))
            lower = links.get(link.get("lower_device"))
            if lower and shares_address(kind_of(link.kind), link.attributes):
                links[link.key] = link.with_attributes({"address": lower.get("address")})
        own = {LinkKey(HERE, name): values for name, values in self.current.get("sysctls", {}).items()}
        settings = {
            (HERE, which, name): value
            for which, values in self.current.get("settings", {}).items()
            for name, value in values.items()
        }
        routes = [*_connected(links.values()), *(_route(entry) for entry in self.current.get("routes", ()))]
        rules = [rule for netns in sorted({HERE, *(key.netns for key in links)}) for rule in usual_rules(netns)]
        rules += [_rule(entry) for entry in self.current.get("rules", ())]
        clients = [_client(**entry) for entry in self.current.get("clients", ())]
        return State(links.values(), settings, own, (), routes, rules, clients)


def load() -> dict[str, Case]:
    """All cases, by `file: title`."""
    return {
        f"{path.stem}: {title}": read(case)
        for path in sorted(FOLDER.glob("*.yml"))
        for title, case in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }


def read(case: Mapping[str, Any]) -> Case:
    """One case; an unknown key, or more than one outcome, is an error."""
    (outcome,) = (name for name in OUTCOMES if name in case)
    assert case.keys() <= KEYS, case.keys() - KEYS
    return Case(
        case.get("current", {}),
        case.get("desired", {}),
        outcome,
        case[outcome],
        tuple(case.get("warnings", ())),
        case.get("after", {}),
    )


def _client(link: str, **entry: Any) -> Client:
    known = {name: entry.pop(name) for name in ("seconds_left", "is_running", "matches_link") if name in entry}
    lease, former = entry.pop("lease", None), entry.pop("former", [])
    (item,) = desired_link(LINK, {"name": link, "source_routing": entry.pop("source_routing", None), "dhcp4": entry})
    options = item.dhcp4
    assert options is not None
    return Client(
        ClientKey(LinkKey(HERE, link)),
        options,
        _lease(lease) if lease else None,
        former=tuple(_lease(text) for text in former),
        **{"seconds_left": 600, **known},
    )


def _lease(text: str) -> Lease:
    """`192.0.2.7/24 via 192.0.2.1`, then further routes such as `10.0.0.0/8 via 192.0.2.9` (option 121)."""
    (own, _via, router), *others = (part.split() for part in text.split(", "))
    ip, _slash, length = own.partition("/")
    ways = tuple((destination, gateway) for destination, _via, gateway in others)
    return Lease(ip, int(length), (router,), ways, seconds=600)


_Keyed = TypeVar("_Keyed")


def _resolved(key: _Keyed) -> _Keyed:
    """The key with the number of the table main, whose name is the same on every host."""
    return replace(key, table=MAIN_TABLE) if getattr(key, "table", None) == "main" else key


def _ends(kind: str, entry: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """A pair is two links, each with the key of the other; any other entry is one link."""
    if kind != "veth" or not isinstance(entry.get("peer"), dict):
        return [(kind, entry)]
    first, second = (LinkKey(end.get("netns", HERE), end["name"]) for end in (entry, entry["peer"]))
    return [(kind, {**entry, "peer": second}), (kind, {**entry["peer"], "peer": first})]


def _port(link: Link, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a bridge port; the kernel chooses cost and state."""
    state = "forwarding" if link.carrier else "disabled"
    rows = kind_of(link.kind).port
    settings = {**{row.name: row.initial for row in rows}, "cost": 2, "stp_state": state}
    return {**settings, **{row.name: link.get(row.name) for row in rows if row.name in entry}}


def _link(kind: str, entry: Mapping[str, Any], number: int) -> Link:
    macvlan = kind == "macvlan"
    table = kind_of(kind)
    options = {alias: row.name for row in table.attributes for alias in (row.name, *row.aliases)}
    attributes: dict[str, Any] = {row.name: row.initial for row in table.options if row.initial is not None}
    attributes.update({row.name: None for row in table.port})
    attributes.update(_CHOSEN.get(kind, {}))
    attributes.update(mtu=1500, address=f"02:fa:ce:00:00:{number:02x}", address_generation_mode="eui64")
    attributes["admin_state"] = "down" if macvlan else "up"
    for option, value in entry.items():
        if option in ("name", "netns", "lower_device_netns", "carrier", "ethernet"):
            continue
        if option == "addresses":
            attributes["addresses"] = _addresses(value)
            continue
        row = table[options[option]] if option in options else None
        if option == "lower_device":
            value = LinkKey(entry.get("lower_device_netns", HERE), value)
        written = row is not None and option not in ("lower_device", "peer") and value is not None
        attributes[options.get(option, option)] = row.type.parse(value) if row and written else value
    if attributes["mtu"] < 1280:
        attributes["address_generation_mode"] = None
    up = attributes["admin_state"] == "up"
    key = LinkKey(entry.get("netns", HERE), entry["name"])
    return Link(key, kind, attributes, number, entry.get("ethernet", True), up and entry.get("carrier", True))


def _addresses(entries: Iterable[Any]) -> tuple[Address, ...]:
    addresses: list[Address] = []
    for entry in entries:
        ip, flags, rest = (entry, PERMANENT, {}) if isinstance(entry, str) else _address_parts(**entry)
        address, _slash, length = ip.partition("/")
        addresses = with_address(addresses, Address(address, int(length), 6 if ":" in ip else 4, flags, **rest))
    return tuple(addresses)


def _address_parts(ip: str, flags: int | None = None, **rest: Any) -> tuple[str, int, dict[str, Any]]:
    permanent = 0 if "valid" in rest else PERMANENT
    return ip, permanent if flags is None else flags, rest


def _connected(links: Iterable[Link]) -> list[Route]:
    routes: list[Route] = []
    links = list(links)
    tables = {link.key: link.number("table") for link in links}
    for link in links:
        table = tables.get(LinkKey(link.key.netns, link.controller or "")) or MAIN_TABLE
        for address in link.get("addresses") if link.get("admin_state") == "up" else ():
            routes += [route for route in connected_routes(link.key, address, table) if route not in routes]
    return routes


def _route(entry: Mapping[str, Any]) -> Route:
    """The route as the kernel reports it: with type, scope and table, even if the entry omits them."""
    own = ("protocol", "is_representable", "hops")
    (item,) = desired_route({"table": "main", **{name: value for name, value in entry.items() if name not in own}})
    nowhere = entry.get("type", "unicast") != "unicast"
    scope = "global" if item.key.family == 6 or nowhere or "gateway" in entry else "link"
    attributes = {"type": "unicast", "scope": scope, "onlink": False, **item.attributes}
    hops = {"hops": tuple(entry["hops"])} if "hops" in entry else {}
    return Route(
        _resolved(item.key), attributes, entry.get("protocol", 4), is_representable=entry.get("is_representable", True), **hops
    )


def _rule(entry: Mapping[str, Any]) -> Rule:
    own = ("protocol", "is_representable")
    (item,) = desired_rule({name: value for name, value in entry.items() if name not in own})
    return Rule(
        item.key.at, {"action": "lookup", **item.attributes}, entry.get("protocol", 4), entry.get("is_representable", True)
    )
