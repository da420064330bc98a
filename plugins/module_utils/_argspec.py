# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters in, desired state out: the argument specifications that derive from the table, and their readers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import AddressSource, Attribute, Kind, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    LinkPolicy,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import DEFAULT, family_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    ACTION,
    LOOKUP,
    RESERVED_TABLES,
    SHARED_TABLES,
    RouteKey,
    RuleKey,
    RulePriority,
    selectors_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRoute, SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._values import _dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DADFAILED
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, Network, ip_interface
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import TABLE, LinkName, Reference
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

ArgumentSpec = dict[str, dict[str, Any]]

ALL_NAMESPACES = "all"
INFO_ARGUMENTS: ArgumentSpec = {"name": {"type": "str"}, "kind": {"type": "str"}, "netns": {"type": "str"}}
LISTENER_ARGUMENTS: ArgumentSpec = {"netns": {"type": "str"}}
PROBE_ARGUMENTS: ArgumentSpec = {
    "link": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "netns": {"type": "str"},
    "timeout": {"type": "float", "default": 1.0},
    "count": {"type": "int", "default": 3},
}
_GUARD: ArgumentSpec = {"allow_lockout": {"type": "bool", "default": False}}
_ADDRESS_POLICY: ArgumentSpec = {"wait_dad": {"type": "float"}, "announce": {"type": "bool"}}
_FAMILIES = {"ipv4": 4, "ipv6": 6}
_NOT_OF_SOURCE_ROUTES = ("table", "link", "netns", "state", "persist")
_HAIRPIN_OPTIONS = ("port", "netns", "bridge", "hairpin", "persist")
_STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
_PERSIST = {"type": "str", "choices": ["none", "replay", "networkd", "networkmanager"]}


def guarded(spec: ArgumentSpec) -> ArgumentSpec:
    """The argument specification of a module that makes changes, with the option that overrides the lockout guard."""
    return {**spec, **_GUARD}


def argument_spec(kind: Kind) -> ArgumentSpec:
    """The argument specification of the module for one link of this kind (LINK: an existing link of any kind)."""
    spec: ArgumentSpec = {"name": {"type": "str", "required": True}, "netns": {"type": "str"}, "persist": dict(_PERSIST)}
    if kind is not LINK:
        spec["state"] = dict(_STATE)
        spec["recreate"] = {"type": "str", "choices": ["never", "when_required"], "default": "never"}
    if kind.has_lower_device:
        spec["lower_device_netns"] = {"type": "str"}
        spec["lower_device_state"] = {"type": "str", "choices": ["up", "require"]}
    if kind.has_lower_device and kind.address is AddressSource.RANDOM:  # which a wireless network does not know
        spec["allow_wireless"] = {"type": "bool", "default": False}
    own = {
        **_arguments(row for row in kind.options if row.store is not Store.PEER),
        **_ADDRESS_POLICY,
        "altnames_exact": {"type": "bool", "default": False},
        "source_routing": _source_routing_argument(),
        "dhcp4": _dhcp4.ARGUMENT,
    }
    if kind.has_peer:
        spec["peer"] = {"type": "dict", "options": {"name": {"type": "str"}, "netns": {"type": "str"}, **own}}
    return {**spec, **own}


def netns_argument_spec() -> ArgumentSpec:
    """The argument specification of the module for one named network namespace."""
    return {
        "name": {"type": "str", "required": True},
        "state": dict(_STATE),
        "force": {"type": "bool", "default": False},
        "persist": dict(_PERSIST),
    }


def port_argument_spec() -> ArgumentSpec:
    """The argument specification of the module for one port of a bridge."""
    return {
        "port": {"type": "str", "required": True},
        "netns": {"type": "str"},
        "bridge": {"type": "str"},
        "state": dict(_STATE),
        "persist": dict(_PERSIST),
        **_arguments(PORT),
    }


def hairpin_argument_spec() -> ArgumentSpec:
    """The argument specification of the module for the hairpin of one port."""
    spec = port_argument_spec()
    return {name: {**spec[name], "required": True} if name == "hairpin" else spec[name] for name in _HAIRPIN_OPTIONS}


def route_argument_spec() -> ArgumentSpec:
    """The argument specification of the module for one route."""
    return {
        "destination": {"type": "str", "required": True},
        "family": {"type": "str", "choices": list(_FAMILIES)},
        "table": {"type": "str", "default": "main"},
        "metric": {"type": "int"},
        "netns": {"type": "str"},
        "state": dict(_STATE),
        "persist": dict(_PERSIST),
        **_arguments(ROUTE.options),
    }


def rule_argument_spec() -> ArgumentSpec:
    """The argument specification of the module for one policy rule."""
    return {
        "priority": {"type": "int", "required": True},
        "family": {"type": "str", "choices": list(_FAMILIES)},
        "netns": {"type": "str"},
        "state": dict(_STATE),
        "persist": dict(_PERSIST),
        **_arguments(RULE.options),
    }


def _source_routing_argument() -> dict[str, Any]:
    """The suboptions of source_routing; a further route has those of a route, but for what the link says itself."""
    route = route_argument_spec()
    options: ArgumentSpec = {
        "table": {"type": "str"},
        "rule_priority": {"type": "int"},
        "gateway": {"type": "list", "elements": "str"},
        "routes": {
            "type": "list",
            "elements": "dict",
            "options": {name: spec for name, spec in route.items() if name not in _NOT_OF_SOURCE_ROUTES},
        },
        "connected_in_main": {"type": "bool", "default": False},
    }
    return {"type": "dict", "options": options}


def _arguments(rows: Iterable[Attribute]) -> ArgumentSpec:
    return {row.name: {**row.type.argument(), **({"aliases": list(row.aliases)} if row.aliases else {})} for row in rows}


def topology_argument_spec() -> ArgumentSpec:
    """The argument specification of `topology`: one list per kind, each entry with the options of that kind's module."""
    entries = {"netns": netns_argument_spec()}
    entries.update({name: argument_spec(kind) for name, kind in KINDS.items()})
    entries["link"] = argument_spec(LINK)
    entries["bridge_port"] = port_argument_spec()
    entries["routes"] = route_argument_spec()
    entries["rules"] = rule_argument_spec()
    lists: ArgumentSpec = {name: {"type": "list", "elements": "dict", "options": spec} for name, spec in entries.items()}
    return {**lists, "persist": dict(_PERSIST)}


# By option: the suboption that a value stands for which is no dictionary.
_SHORT_FORMS = {"dhcp4": "enabled", "peer": "name"}
_LISTS = {"route": "routes", "rule": "rules", "links": "link", "macvlans": "macvlan", "bridges": "bridge", "vlans": "vlan"}


def with_long_forms(params: Mapping[str, Any], spec: ArgumentSpec) -> dict[str, Any]:
    """The parameters, with `dhcp4: true` and `peer: NAME` written as dictionaries, also in the lists of `topology`."""
    return {name: _with_long_form(name, value, spec.get(name, {})) for name, value in params.items()}


def _with_long_form(name: str, value: Any, option: Mapping[str, Any]) -> Any:
    options = option.get("options")
    if options and isinstance(value, list):
        return [with_long_forms(entry, options) if isinstance(entry, Mapping) else entry for entry in value]
    if options and isinstance(value, Mapping):
        return with_long_forms(value, options)
    is_plain = isinstance(value, bool) or (isinstance(value, str) and value and not re.search(r"[={]", value))
    return {_SHORT_FORMS[name]: value} if options and name in _SHORT_FORMS and is_plain else value


def advice_for(params: Mapping[str, Any], spec: ArgumentSpec) -> str:
    """What to write instead, where a parameter is a frequent mistake that the validation cannot explain; else nothing."""
    for name, value in params.items():
        entries = value if isinstance(value, list) else [value]
        options = spec.get(name, {}).get("options", {})
        advice = (advice_for(entry, options) for entry in entries if isinstance(entry, Mapping))
        inner = next(filter(None, advice), "")
        if inner:
            return inner
        if name == "state" and value in ("up", "down") and "admin_state" in spec:
            return f"To set the link {value}, write admin_state: {value}"
        if name not in spec and _LISTS.get(name) in spec:
            return f"The list is named {_LISTS[name]}"
    return ""


def desired_link(kind: Kind, params: Mapping[str, Any], origin: str = "") -> tuple[DesiredLink, ...]:
    """The desired state of a link, of a veth pair that of both ends; omitted options are left out, for they are not managed."""
    read = _Reader(params, origin)
    attributes = read.attributes(row for row in kind.options if row.store is not Store.PEER)
    if params.get("lower_device_netns") and "lower_device" not in attributes:
        raise read.error("lower_device_netns is set without lower_device. Set both")
    if attributes.get("lower_device"):
        attributes["lower_device"] = LinkKey(read.namespace("lower_device_netns"), attributes["lower_device"])
    wait = params.get("wait_dad")
    if wait is not None and not 0 <= wait <= 3600:
        raise read.error(f"wait_dad: {wait:g} is not between 0 and 3600 seconds")
    if wait and "addresses" in attributes:  # one that was found to be a duplicate is tried again
        attributes["addresses"] = tuple(replace(one, unset=one.unset | DADFAILED) for one in attributes["addresses"])
    present = params.get("state") != "absent"
    key = LinkKey(read.namespace("netns"), read.option("name", LinkName(or_altname=kind is LINK)))
    if "addresses" in attributes:  # the name of the link is the label of those that have no other
        attributes["addresses"] = tuple(
            replace(one, label="") if one.label == key.name else one for one in attributes["addresses"]
        )
    source_routing = None
    if present and params.get("source_routing") is not None:
        source_routing = parsed_source_routing(params["source_routing"], f"{read.where}source_routing")
    dhcp4, wait_lease = read.dhcp4(key, source_routing) if present else (None, None)
    ends: tuple[DesiredLink, ...] = ()
    if present and params.get("peer"):
        if params["peer"].get("name") is None:
            raise read.error("peer: name is missing. Set peer.name")
        (end,) = desired_link(
            kind, {**params["peer"], "recreate": params.get("recreate")}, f"{origin}: peer" if origin else "peer"
        )
        attributes["peer"] = end.key
        ends = (replace(end, attributes={**end.attributes, "peer": key}, is_primary_end=False),)
    return (
        DesiredLink(
            key,
            None if kind is LINK else kind.name,
            present,
            attributes if present else {},  # what else was set describes the link to delete
            is_primary_end=True if ends else None,
            source_routing=source_routing,
            dhcp4=dhcp4,
            persist=params.get("persist"),
            policy=LinkPolicy(
                recreate=params.get("recreate") == "when_required",
                lower_device_state=params.get("lower_device_state"),
                allow_wireless=bool(params.get("allow_wireless")),
                wait_dad=wait if present else None,
                announce=present and bool(params.get("announce")),
                wait_lease=wait_lease,
                altnames_exact=bool(params.get("altnames_exact")),
            ),
            origin=origin,
        ),
        *ends,
    )


def desired_netns(params: Mapping[str, Any], origin: str = "") -> tuple[DesiredNetns, ...]:
    """The desired state of a namespace, which is identified by its name, never by a path."""
    read = _Reader(params, origin)
    name = read.namespace("name", path=False)
    present = params.get("state") != "absent"
    return (DesiredNetns(NetnsKey(name), present, bool(params.get("force")), params.get("persist"), origin),)


def desired_port(params: Mapping[str, Any], origin: str = "") -> tuple[DesiredLink, ...]:
    """The desired state of a bridge port, which is that of a link of any kind whose controller is the bridge."""
    read = _Reader(params, origin)
    attributes = read.attributes(PORT)
    if params.get("bridge") is not None:
        attributes["controller"] = read.option("bridge", LinkName(or_altname=True))
    if params.get("state") == "absent":
        attributes = {"controller": ""}
    key = LinkKey(read.namespace("netns"), read.option("port", LinkName(or_altname=True)))
    is_required = params.get("state") != "absent"
    return (DesiredLink(key, None, True, attributes, is_required, persist=params.get("persist"), origin=origin),)


def desired_hairpin(params: Mapping[str, Any], origin: str = "") -> tuple[DesiredLink, ...]:
    """The desired hairpin of a bridge port; if the bridge is set, the port must be attached to it already."""
    read = _Reader(params, origin)
    (item,) = desired_port({name: params.get(name) for name in ("port", "netns", "hairpin", "persist")}, origin)
    asserted = {} if params.get("bridge") is None else {"controller": read.option("bridge", LinkName(or_altname=True))}
    return (replace(item, asserted=asserted),)


@dataclass(frozen=True)
class Probe:
    """Which addresses to probe, and how."""

    link: LinkKey
    ips: tuple[str, ...]
    seconds: float
    count: int


def read_probe(params: Mapping[str, Any]) -> Probe:
    """The probe that the options describe. The prefix length of an address is ignored."""
    read = _Reader(params, "")
    for name, high in (("timeout", 60), ("count", 100)):
        if not 0 < params[name] <= high:
            raise read.error(f"{name}: {params[name]:g} is not greater than 0 and at most {high}")
    ips = [read.parsed("addresses", _without_prefix_length, one) for one in params["addresses"]]
    key = LinkKey(read.namespace("netns"), read.option("link", LinkName()))
    return Probe(key, tuple(dict.fromkeys(ips)), params["timeout"], params["count"])


def _without_prefix_length(written: str) -> str:
    return ip_interface(written if "/" in written else f"{written}/32")[0]


def desired_route(params: Mapping[str, Any], origin: str = "") -> tuple[DesiredRoute, ...]:
    """The desired state of a route."""
    read = _Reader(params, origin)
    attributes = read.attributes(ROUTE.options)
    destination = read.option("destination", Network())
    family = read.family(destination, attributes.get("gateway"), attributes.get("source"))
    bounds = Integer(0, 0xFFFFFFFF)
    metric = 0 if params.get("metric") is None else read.option("metric", bounds)
    table = read.option("table", TABLE)
    if table in RESERVED_TABLES:
        raise read.error(f"table: {params['table']} is reserved for the kernel. Set main, or another table")
    key = RouteKey(
        read.namespace("netns"),
        table,
        family,
        DEFAULT[family] if destination == "default" else destination,
        metric or (1024 if family == 6 else 0),
    )
    present = params.get("state") != "absent"
    return (DesiredRoute(key, present, attributes if present else {}, params.get("persist"), origin),)


def parsed_source_routing(params: Mapping[str, Any], origin: str = "source_routing") -> SourceRouting:
    """The routing table of a link; without suboptions, none."""
    if not any(params.values()):
        return SourceRouting()
    read = _Reader(params, origin)
    for name in ("table", "rule_priority"):
        if params.get(name) is None:
            raise read.error(f"{name} is required. Set table and rule_priority, or {{}} to remove the table")
    table = read.option("table", TABLE)
    if table in SHARED_TABLES:
        raise read.error(f"table: {params['table']} is used by all links. Set the number of a table for this link only")
    gateways = [read.parsed("gateway", Ip().parse, value) for value in params.get("gateway") or ()]
    if len({family_of(gateway) for gateway in gateways}) < len(gateways):
        raise read.error(f"gateway: {' and '.join(gateways)} belong to the same family. Set one per family")
    return SourceRouting(
        table,
        read.option("rule_priority", Integer(1, 0xFFFFFFFE)),
        tuple(gateways),
        tuple(
            SourceRoute(route.key.destination, route.key.family, route.key.metric, route.attributes)
            for position, entry in enumerate(params.get("routes") or ())
            for route in desired_route({**entry, "table": "main"}, f"{read.where}routes[{position}]")
        ),
        bool(params.get("connected_in_main")),
    )


def saved_source_routing(routing: SourceRouting) -> dict[str, Any]:
    """The suboptions of source_routing, made of what JSON has."""
    if routing.table is None:
        return {}
    suboptions: dict[str, Any] = {"table": str(routing.table), "rule_priority": routing.rule_priority}
    if routing.gateways:
        suboptions["gateway"] = list(routing.gateways)
    if routing.routes:
        suboptions["routes"] = [
            {
                "destination": route.destination,
                "family": f"ipv{route.family}",
                "metric": route.metric,
                **{row.name: row.type.saved(route.attributes[row.name]) for row in ROUTE.rows(route.attributes)},
            }
            for route in routing.routes
        ]
    return {**suboptions, **({"connected_in_main": True} if routing.connected_in_main else {})}


def desired_rule(params: Mapping[str, Any], origin: str = "") -> tuple[DesiredRule, ...]:
    """The desired state of a policy rule. Omitted selectors are not part of the rule."""
    read = _Reader(params, origin)
    attributes = read.attributes(RULE.options)
    family = read.family(attributes.get("from"), attributes.get("to"))
    for name in ("from", "to"):
        if attributes.get(name) == "default":
            attributes[name] = DEFAULT[family]
    at = RulePriority(read.namespace("netns"), family, read.option("priority", Integer(1, 0xFFFFFFFE)))
    present = params.get("state") != "absent"
    if present:
        key = RuleKey(at, selectors_of(attributes), attributes.get("action", LOOKUP))
    else:  # a rule that is to be absent may be named by its priority alone
        key = RuleKey(at, selectors_of(attributes) if attributes.keys() - set(ACTION) else None, attributes.get("action"))
    return (DesiredRule(key, present, attributes, params.get("persist"), origin),)


def topology_lists() -> tuple[str, ...]:
    """The lists of a `topology`, in the order in which their objects can be created."""
    return tuple(name for name, option in topology_argument_spec().items() if option["type"] == "list")


def desired_topology(params: Mapping[str, Any]) -> tuple[Desired, ...]:
    """The desired state of all entries of all lists of a `topology`, not yet merged."""
    readers: dict[str, Callable[[Mapping[str, Any], str], tuple[Desired, ...]]] = {
        "netns": desired_netns,
        **{name: partial(desired_link, kind) for name, kind in KINDS.items()},
        "link": partial(desired_link, LINK),
        "bridge_port": desired_port,
        "routes": desired_route,
        "rules": desired_rule,
    }
    return tuple(
        item
        for name, read in readers.items()
        for position, entry in enumerate(params.get(name) or ())
        for item in read(
            {**entry, "persist": entry.get("persist") or params.get("persist")}, f"{name}[{position}] ({_label(entry)})"
        )
    )


def _label(entry: Mapping[str, Any]) -> Any:
    return next(entry[name] for name in ("name", "port", "destination", "priority") if entry.get(name) is not None)


class _Reader:
    """Reads the options of one entry; every error names the entry."""

    def __init__(self, params: Mapping[str, Any], origin: str) -> None:
        self.params = params
        self.where = f"{origin}: " if origin else ""

    def error(self, sentence: str) -> InvalidValue:
        return InvalidValue(f"{self.where}{sentence}")

    def option(self, name: str, type_: Type) -> Any:
        return self.parsed(name, type_.parse, self.params[name])

    def namespace(self, name: str, path: bool = True) -> str:
        return str(self.parsed(name, partial(namespace, path=path), self.params.get(name)))

    def family(self, *written: str | None) -> int:
        """4 or 6: the option, or else the family of the addresses, or else 4."""
        families = {family_of(address) for address in written if address not in (None, "default")}
        asked = _FAMILIES.get(self.params.get("family") or "")
        if len(families) > 1 or (asked and families - {asked}):
            raise self.error("the addresses belong to different families. Use one family, and omit family or set it to that one")
        return asked or next(iter(families), 4)

    def dhcp4(self, key: LinkKey, source_routing: SourceRouting | None) -> tuple[Dhcp4 | None, float | None]:
        """What the DHCP client does, and how many seconds to wait for its lease."""
        if self.params.get("dhcp4") is None:
            return None, None
        if key.netns.startswith("/"):
            raise self.error(
                f"dhcp4: namespace {key.netns} has no name, so a restarted DHCP client cannot find it. "
                "Give it a name in /run/netns"
            )
        options, wait = self.parsed("dhcp4", _dhcp4.parsed, self.params["dhcp4"])
        if source_routing is not None and source_routing.table is not None and options.enabled:
            if options.use_main_table:
                raise self.error("dhcp4: use_main_table and source_routing are mutually exclusive. Omit one of them")
            options = replace(options, source_routing=source_routing)
        elif source_routing is None and options.metric is not None and not options.use_main_table:
            raise self.error("dhcp4: metric applies to the routes of a lease. Set source_routing or use_main_table as well")
        return options, wait

    def attributes(self, rows: Iterable[Attribute]) -> dict[str, Any]:
        """The attributes that are set. A link that one refers to is a name here."""
        written = [row for row in rows if self.params.get(row.name) is not None]
        return {
            row.name: self.option(row.name, LinkName(or_altname=True) if isinstance(row.type, Reference) else row.type)
            for row in written
        }

    def parsed(self, name: str, parse: Callable[[Any], Any], value: Any) -> Any:
        try:
            return parse(value)
        except InvalidValue as error:
            raise self.error(f"{name}: {error}") from error


def namespace(value: str | None, path: bool = True) -> str:
    """A network namespace in normal form: a name in /run/netns, HERE, or an absolute path where one is allowed."""
    if value is None:
        return HERE
    for folder in ("/run/netns/", "/var/run/netns/"):
        if value.startswith(folder) and "/" not in value[len(folder) :]:
            value = value[len(folder) :]
    if path and value.startswith("/"):
        return value
    if not value or value in (".", "..") or "/" in value or "\0" in value or len(value.encode()) > 255:
        if path:
            raise InvalidValue(f"{value!r} is neither the name of a network namespace nor an absolute path to one")
        raise InvalidValue(f"{value!r} is not the name of a network namespace")
    return value
