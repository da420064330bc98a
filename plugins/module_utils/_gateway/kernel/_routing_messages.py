# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and policy rules in netlink messages. Without I/O."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Attrs, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import HEADER, attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS, ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, DEFAULT, FAMILY_OF_AF, family_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOOKUP, Route, RouteKey, Rule, RulePriority

_RTNH_F_ONLINK = 0x4
_RT_TABLE_COMPAT = 252  # in the header, if an attribute holds a number above 255
_FOREVER = 0xFFFFFFFF
# A route with other attributes cannot be restored from a Route.
_ROUTE_ATTRIBUTES = {
    "RTA_DST",
    "RTA_OIF",
    "RTA_GATEWAY",
    "RTA_PRIORITY",
    "RTA_PREFSRC",
    "RTA_METRICS",
    "RTA_TABLE",
    "RTA_CACHEINFO",
    "RTA_PREF",
    "RTA_VIA",
}
_RTMSG_SIZE, _RTA_VIA, _RTA_NH_ID = 12, 18, 30  # linux/rtnetlink.h


def read_route(message: Decoded, data: bytes, netns: str, name_of: Callable[[int], str]) -> Route:
    """The route of a decoded RTM_NEWROUTE in this namespace. data: the message before it was decoded."""
    family = FAMILY_OF_AF[message["family"]]
    metrics = message.get("RTA_METRICS")
    values = {item[0]: item[1] for item in metrics["attrs"]} if metrics else {}
    kind = ROUTE["type"].type.decoded(message["type"])
    # pyroute2 cuts an address that ends with zeros, and some releases lack the other one.
    rare = dict(attributes(data, HEADER.size + _RTMSG_SIZE)) if _may_have_rare_next_hop(message) else {}
    options = {
        "type": kind,
        "gateway": _of_other_family(rare[_RTA_VIA]) if _RTA_VIA in rare else message.get("RTA_GATEWAY"),
        "link": name_of(message.get("RTA_OIF")) if message.get("RTA_OIF") and kind not in REJECTS else None,
        "source": message.get("RTA_PREFSRC"),
        "scope": ROUTE["scope"].type.decoded(message["scope"]),
        "onlink": bool(message["flags"] & _RTNH_F_ONLINK),
        "mtu": values.pop(ROUTE["mtu"].nla, None),
    }
    key = RouteKey(
        netns=netns,
        table=message.get("RTA_TABLE") or message["table"],
        family=family,
        destination=_prefix(message.get("RTA_DST"), message["dst_len"], family),
        metric=message.get("RTA_PRIORITY") or 0,
        tos=message["tos"],
    )
    return Route(
        key,
        {name: value for name, value in options.items() if value is not None},
        protocol=message["proto"],
        metrics=tuple(sorted(values.items())),
        hops=tuple(name_of(hop["oif"]) for hop in message.get("RTA_MULTIPATH") or ()),
        nexthop_object=int.from_bytes(rare[_RTA_NH_ID], sys.byteorder) if _RTA_NH_ID in rare else None,
        is_representable=kind is not None
        and _RTA_NH_ID not in rare
        and set(message.names()) <= _ROUTE_ATTRIBUTES
        and not message["src_len"]
        and all(isinstance(value, int) for value in values.values()),
    )


def _may_have_rare_next_hop(message: Decoded) -> bool:
    return not set(message.names()) <= _ROUTE_ATTRIBUTES - {"RTA_VIA"}


def _of_other_family(via: bytes) -> str:
    """The address of a struct rtvia: two bytes of its family, and the address."""
    return socket.inet_ntop(int.from_bytes(via[:2], sys.byteorder), via[2:])


def _prefix(ip: str | None, length: int, family: int) -> str:
    return f"{ip or DEFAULT[family].partition('/')[0]}/{length}"


def write_route(route: Route, index: int | None) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes of this route. index: that of the link that it leaves by."""
    ip, _slash, length = route.key.destination.partition("/")
    table = route.key.table_number
    header = {
        "family": AF[route.key.family],
        "dst_len": int(length),
        "src_len": 0,
        "tos": route.key.tos,
        "table": table if table < 256 else _RT_TABLE_COMPAT,
        "proto": route.protocol,
        "scope": ROUTE["scope"].type.encoded(route.get("scope") or "global"),
        "type": ROUTE["type"].type.encoded(route.get("type")),
        "flags": _RTNH_F_ONLINK if route.get("onlink") else 0,
    }
    attrs: Attrs = [["RTA_TABLE", table]]
    if index is not None:
        attrs.append(["RTA_OIF", index])
    if int(length):
        attrs.append(["RTA_DST", ip])
    optional = (("RTA_PRIORITY", route.key.metric), ("RTA_PREFSRC", route.get("source")))
    attrs += [[name, value] for name, value in optional if value]
    if route.gateway and family_of(route.gateway) != route.key.family:
        attrs.append(["RTA_VIA", {"family": AF[family_of(route.gateway)], "addr": route.gateway}])
    elif route.gateway:
        attrs.append(["RTA_GATEWAY", route.gateway])
    metrics = [*route.metrics, *([(ROUTE["mtu"].nla, route.get("mtu"))] if route.get("mtu") else [])]
    if metrics:
        attrs.append(["RTA_METRICS", {"attrs": [list(item) for item in metrics]}])
    return header, attrs


# A rule with other attributes cannot be restored from a Rule.
_RULE_ATTRIBUTES = {row.nla for row in RULE.options if row.nla} | {
    "FRA_FWMASK",
    "FRA_PRIORITY",
    "FRA_PROTOCOL",
    "FRA_SUPPRESS_IFGROUP",
}
_RULE_PORTS = ("FRA_SPORT_RANGE", "FRA_DPORT_RANGE")
_FIB_RULE_INVERT = 0x2


def read_rule(message: Decoded, netns: str) -> Rule:
    """The rule of a decoded RTM_NEWRULE in this namespace."""
    family = FAMILY_OF_AF[message["family"]]
    options: dict[str, Any] = {"action": RULE["action"].type.decoded(message["action"])}
    for name, length in (("from", message["src_len"]), ("to", message["dst_len"])):
        if length:
            options[name] = _prefix(message.get(RULE[name].nla), length, family)
    if message.get("FRA_FWMARK") is not None or message.get("FRA_FWMASK") is not None:
        options["fwmark"] = (message.get("FRA_FWMARK") or 0, message.get("FRA_FWMASK") or 0)
    for name in ("uid_range", "source_port", "destination_port"):
        if message.get(RULE[name].nla):
            first, last = message.get(RULE[name].nla).split(":")
            options[name] = (int(first), int(last))
    for name in ("iif", "oif", "ip_protocol"):
        if message.get(RULE[name].nla):
            options[name] = message.get(RULE[name].nla)
    table = message.get("FRA_TABLE") or message["table"]
    if table and options["action"] == LOOKUP:
        options["table"] = table
    if message.get("FRA_SUPPRESS_PREFIXLEN") not in (None, _FOREVER):
        options["suppress_prefix_length"] = message.get("FRA_SUPPRESS_PREFIXLEN")
    names = set(message.names())
    # A newer kernel sends a mask with each port: an attribute that pyroute2 does not know.
    known = names - {name for name in names if name.startswith("UNKNOWN") and names & set(_RULE_PORTS)}
    return Rule(
        RulePriority(netns, family, message.get("FRA_PRIORITY") or 0),
        options,
        protocol=message.get("FRA_PROTOCOL") or 0,
        is_representable=known <= _RULE_ATTRIBUTES
        and options["action"] in (RULE["action"].type.argument()["choices"])
        and not message["tos"]
        and not message["flags"] & _FIB_RULE_INVERT
        and message.get("FRA_SUPPRESS_IFGROUP") in (None, _FOREVER),
    )


def write_rule(rule: Rule) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes of this rule."""
    header = {"family": AF[rule.at.family], "action": RULE["action"].type.encoded(rule.get("action")), "flags": 0, "tos": 0}
    table = rule.number("table") or 0
    header["table"] = table if table < 256 else _RT_TABLE_COMPAT
    attrs: Attrs = [["FRA_PRIORITY", rule.at.priority], ["FRA_PROTOCOL", rule.protocol]]
    for name, field in (("from", "src_len"), ("to", "dst_len")):
        ip, _slash, length = (rule.text(name) or "/0").partition("/")
        header[field] = int(length)
        if int(length):
            attrs.append([RULE[name].nla, ip])
    for row in RULE.rows(rule.attributes):
        value = rule.attributes[row.name]
        if row.name == "fwmark" and isinstance(value, tuple):
            attrs += [["FRA_FWMARK", value[0]], ["FRA_FWMASK", value[1]]]
        elif isinstance(value, tuple):
            attrs.append([row.nla, f"{value[0]}:{value[1]}"])
        elif row.nla and row.name not in ("from", "to"):
            attrs.append([row.nla, value])
    return header, attrs
