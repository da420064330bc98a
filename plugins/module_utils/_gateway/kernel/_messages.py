# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between attributes by option and netlink attributes, both ways, by the rows of the table. Names and numbers only: no I/O."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Attrs, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS, ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, DEFAULT
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import PHYSICAL, Address, Attributes, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOOKUP, Route, RouteKey, Rule, RulePriority

AF_BRIDGE = 7
NLA_F_NESTED = 0x8000  # without it the kernel takes the attribute for the state alone, in an old format
ARPHRD_ETHER = 1
IFF_LOOPBACK, IFF_LOWER_UP = 0x8, 0x10000
IFLA_MACADDR_MODE_FLUSH, IFLA_MACADDR_MODE_SET = 2, 3
RTNH_F_ONLINK = 0x4
RT_TABLE_COMPAT = 252  # in the header, where a number above 255 stands in an attribute
_FAMILY: dict[int, int] = {int(number): family for family, number in AF.items()}
_FOREVER = 0xFFFFFFFF
_OPER_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
# Kinds whose IFLA_LINK is the other end, or nothing that they sit on.
_LINK_IS_NO_LOWER = ("netkit", "vxcan")
# Kinds that go with a device below them which stands elsewhere.
_LOWER_IN_DATA = {"vxlan": "IFLA_VXLAN_LINK"}
# What a route may have to be written again from a Route; anything else makes it one of those that others manage.
_PLAIN_ROUTE = {
    "RTA_DST",
    "RTA_OIF",
    "RTA_GATEWAY",
    "RTA_PRIORITY",
    "RTA_PREFSRC",
    "RTA_METRICS",
    "RTA_TABLE",
    "RTA_CACHEINFO",
    "RTA_PREF",
}


@dataclass(frozen=True)
class RawLink:
    """A link message as far as it can be read alone: where it refers to other links, it has their numbers.

    numbers: by attribute, of links in the same namespace. lower: (number, number of its namespace, or
    None for the same one).
    """

    name: str
    index: int
    kind: str
    attributes: Attributes
    ethernet: bool
    carrier: bool
    oper_state: str
    numbers: Mapping[str, int]
    lower: tuple[int, int | None] | None

    @property
    def reference(self) -> str:
        """What the lower device is called: for one end of a pair, it is the other end."""
        return "peer" if self.kind == "veth" else "lower_device"

    def link(self, key: LinkKey, references: Attributes) -> Link:
        """The link, once its references are known."""
        attributes = {**self.attributes, **references}
        return Link(key, self.kind, attributes, self.index, self.ethernet, self.carrier, self.oper_state)


def read_link(message: Decoded) -> RawLink:
    """The link of a decoded RTM_NEWLINK."""
    info = message.inside("IFLA_LINKINFO")
    kind_name = (info.get("IFLA_INFO_KIND") if info else None) or PHYSICAL
    kind = kind_of(kind_name)
    data = info.inside("IFLA_INFO_DATA") if info and (kind.name == kind_name or kind_name in _LOWER_IN_DATA) else None
    port = info.inside("IFLA_INFO_SLAVE_DATA") if info and info.get("IFLA_INFO_SLAVE_KIND") == "bridge" else None
    read = {
        row.name: _READERS[row.store](row, message, port if row.store is Store.PORT else data)
        for row in kind.attributes
        if row.store in _READERS and row.name != "lower_device"
    }
    numbers = {row.name: read.pop(row.name) for row in kind.attributes if row.names_link and isinstance(read[row.name], int)}
    lower, place = message.get("IFLA_LINK"), message.get("IFLA_LINK_NETNSID")
    itself = lower == message["index"] and place is None  # the same number in another namespace is another link
    if kind_name in (PHYSICAL, *_LINK_IS_NO_LOWER) or itself:
        lower = None
    if kind_name in _LOWER_IN_DATA:
        lower = data.get(_LOWER_IN_DATA[kind_name]) if data else None
    return RawLink(
        name=message.get("IFLA_IFNAME"),
        index=message["index"],
        kind=kind_name,
        attributes=read,
        ethernet=message["ifi_type"] == ARPHRD_ETHER and not message["flags"] & IFF_LOOPBACK,
        carrier=bool(message["flags"] & IFF_LOWER_UP),
        oper_state=_oper_state(message.get("IFLA_OPERSTATE")),
        numbers=numbers,
        lower=(lower, place) if lower else None,
    )


def write_link(
    kind_name: str, attributes: Attributes, index_of: Callable[[LinkKey], int], key: LinkKey
) -> tuple[dict[str, int], Attrs]:
    """The header fields and the netlink attributes that say these attributes of the link `key`."""
    kind = kind_of(kind_name)
    header = {"flags": 0, "change": 0}
    attrs: Attrs = []
    data: Attrs = []
    port: Attrs = []
    words: dict[str, int] = {}
    for row in kind.rows(attributes):
        value = attributes[row.name]
        if row.names_link:
            value = index_of(LinkKey(key.netns, value)) if value else 0
        if row.name == "lower_device":
            attrs.append([row.nla, index_of(value)])
        elif row.store is Store.MESSAGE:
            attrs.append([row.nla, value])
        elif row.store is Store.PORT and value is not None:
            port.append([row.nla, row.type.encoded(value)])
        elif row.store is Store.FLAG:
            header["change"] |= row.bit
            header["flags"] |= row.bit if row.type.encoded(value) else 0
        elif row.store is Store.DATA:
            data.append([row.nla, row.type.encoded(value)])
        elif row.store is Store.DATA_FLAG:
            words[row.nla] = words.get(row.nla, 0) | (row.bit if value else 0)
        elif row.store is Store.SOURCES:
            data += _write_sources(row, value)
        elif row.store is Store.INET6:
            attrs.append(["IFLA_AF_SPEC", {"attrs": [["AF_INET6", {"attrs": [[row.nla, row.type.encoded(value)]]}]]}])
    data += [[nla, word] for nla, word in words.items()]
    if data:
        attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", kind.name], ["IFLA_INFO_DATA", {"attrs": data}]]}])
    if port:
        header["family"] = AF_BRIDGE
        attrs.append(("IFLA_PROTINFO", {"attrs": port}, NLA_F_NESTED))
    return header, attrs


def _read_message(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    value = message.get(row.nla)
    return row.initial if value is None else value


def _read_flag(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    return row.type.decoded(int(bool(message["flags"] & row.bit)))


def _read_data(row: Attribute, _message: Decoded, data: Decoded | None) -> Any:
    value = data.get(row.nla) if data is not None else None
    if value is None and row.per_lower_device:
        return row.initial  # the kernel leaves bc_cutoff out where it is the default
    return None if value is None else row.type.decoded(value)


def _read_port(row: Attribute, _message: Decoded, port: Decoded | None) -> Any:
    """None when the link is no port, or the kernel has no such attribute."""
    if port is None:
        return None
    value = port.get(row.nla)
    if value is None:  # the kernel leaves it out where there is no backup port
        return "" if row.names_link else None
    return row.type.decoded(value)


def _read_data_flag(row: Attribute, _message: Decoded, data: Decoded | None) -> bool:
    return bool(((data.get(row.nla) if data is not None else None) or 0) & row.bit)


def _read_sources(row: Attribute, _message: Decoded, data: Decoded | None) -> tuple[str, ...]:
    found = data.get(row.nla) if data is not None else None
    return tuple(sorted(item[1] for item in found["attrs"])) if found else ()


def _read_inet6(row: Attribute, message: Decoded, _data: Decoded | None) -> Any:
    settings = message.inside("IFLA_AF_SPEC", "AF_INET6")
    code = settings.get(row.nla) if settings else None
    return None if code is None else row.type.decoded(code)


def _read_altnames(_row: Attribute, message: Decoded, _data: Decoded | None) -> tuple[str, ...]:
    found = message.get("IFLA_PROP_LIST")
    return tuple(sorted(item[1] for item in found["attrs"] if item[0] == "IFLA_ALT_IFNAME")) if found else ()


_READERS: Mapping[Store, Callable[[Attribute, Decoded, Decoded | None], Any]] = {
    Store.MESSAGE: _read_message,
    Store.FLAG: _read_flag,
    Store.DATA: _read_data,
    Store.DATA_FLAG: _read_data_flag,
    Store.SOURCES: _read_sources,
    Store.INET6: _read_inet6,
    Store.ALTNAME: _read_altnames,
    Store.PORT: _read_port,
}


def _write_sources(row: Attribute, addresses: tuple[str, ...]) -> Attrs:
    mode = row.nla.replace("MACADDR_DATA", "MACADDR_MODE")
    if not addresses:
        return [[mode, IFLA_MACADDR_MODE_FLUSH]]
    items = [["IFLA_MACVLAN_MACADDR", address] for address in addresses]
    return [[mode, IFLA_MACADDR_MODE_SET], [row.nla, {"attrs": items}]]


def _oper_state(value: Any) -> str:
    """pyroute2 gives the word in capitals, or the number for one that it has not."""
    return value.lower() if isinstance(value, str) else _OPER_STATES[value or 0]


def read_address(message: Decoded, link: str = "", client: str | None = None) -> Address:
    """The address of a decoded RTM_NEWADDR; link: the name of its link, which is the label of those that have no other; client:
    the DHCP client that serves the link."""
    flags = message.get("IFA_FLAGS")
    own = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
    other = message.get("IFA_ADDRESS")
    times = message.get("IFA_CACHEINFO") or {}
    valid = times.get("ifa_valid", _FOREVER)
    return Address(
        ip=own,
        prefix_length=message["prefixlen"],
        family=_FAMILY[message["family"]],
        flags=message["flags"] if flags is None else flags,
        scope=message["scope"],
        peer_ip=other if other != own else None,
        broadcast=message.get("IFA_BROADCAST"),
        label=None if message.get("IFA_LABEL") == link else message.get("IFA_LABEL"),
        metric=message.get("IFA_RT_PRIORITY"),
        protocol=message.get("IFA_PROTO"),
        preferred=None if valid == _FOREVER else times.get("ifa_preferred"),
        valid=None if valid == _FOREVER else valid,
        client=client if message["family"] == socket.AF_INET else None,
    )


# linux/if_addr.h: what may be asked for; the rest (tentative, permanent, secondary...) is state that the kernel keeps
_IFA_F_WRITABLE = 0x02 | 0x10 | 0x100 | 0x200 | 0x400  # nodad, home, mngtmpaddr, noprefixroute, mcautojoin


def write_address(address: Address, index: int) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes of an RTM_NEWADDR that makes this address, or an RTM_DELADDR that takes just this."""
    header = {
        "family": AF[address.family],
        "prefixlen": address.prefix_length,
        "scope": address.scope if address.family == 4 else 0,
        "index": index,
        "flags": 0,
    }
    attrs: Attrs = [["IFA_LOCAL", address.ip], ["IFA_ADDRESS", address.peer_ip or address.ip]]
    optional = (("IFA_BROADCAST", address.broadcast), ("IFA_LABEL", address.label), ("IFA_RT_PRIORITY", address.metric))
    attrs += [[name, value] for name, value in (*optional, ("IFA_PROTO", address.protocol)) if value]
    attrs.append(["IFA_FLAGS", address.flags & _IFA_F_WRITABLE])
    if address.valid is not None:
        attrs.append(
            [
                "IFA_CACHEINFO",
                {"ifa_preferred": address.preferred, "ifa_valid": address.valid, "cstamp": 0, "tstamp": 0},
            ]
        )
    return header, attrs


def read_route(message: Decoded, netns: str, name_of: Callable[[int], str]) -> Route:
    """The route of a decoded RTM_NEWROUTE in this namespace."""
    family = _FAMILY[message["family"]]
    metrics = message.get("RTA_METRICS")
    known = {item[0]: item[1] for item in metrics["attrs"]} if metrics else {}
    kind = ROUTE["type"].type.decoded(message["type"])
    found = {
        "type": kind,
        "gateway": message.get("RTA_GATEWAY"),
        "link": name_of(message.get("RTA_OIF")) if message.get("RTA_OIF") and kind not in REJECTS else None,
        "source": message.get("RTA_PREFSRC"),
        "scope": ROUTE["scope"].type.decoded(message["scope"]),
        "onlink": bool(message["flags"] & RTNH_F_ONLINK),
        "mtu": known.pop(ROUTE["mtu"].nla, None),
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
        {name: value for name, value in found.items() if value is not None},
        protocol=message["proto"],
        metrics=tuple(sorted(known.items())),
        hops=tuple(name_of(hop["oif"]) for hop in message.get("RTA_MULTIPATH") or ()),
        plain=kind is not None
        and set(message.names()) <= _PLAIN_ROUTE
        and not message["src_len"]
        and all(isinstance(value, int) for value in known.values()),
    )


def _prefix(ip: str | None, length: int, family: int) -> str:
    return f"{ip or DEFAULT[family].partition('/')[0]}/{length}"


def write_route(route: Route, index: int | None) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes that say this route, which leaves by the link with this index."""
    ip, _slash, length = route.key.destination.partition("/")
    table = route.key.table
    header = {
        "family": AF[route.key.family],
        "dst_len": int(length),
        "src_len": 0,
        "tos": route.key.tos,
        "table": table if table < 256 else RT_TABLE_COMPAT,
        "proto": route.protocol,
        "scope": ROUTE["scope"].type.encoded(route.get("scope") or "global"),
        "type": ROUTE["type"].type.encoded(route.get("type")),
        "flags": RTNH_F_ONLINK if route.get("onlink") else 0,
    }
    attrs: Attrs = [["RTA_TABLE", table]]
    if index is not None:
        attrs.append(["RTA_OIF", index])
    if int(length):
        attrs.append(["RTA_DST", ip])
    optional = (("RTA_GATEWAY", route.get("gateway")), ("RTA_PRIORITY", route.key.metric), ("RTA_PREFSRC", route.get("source")))
    attrs += [[name, value] for name, value in optional if value]
    metrics = [*route.metrics, *([(ROUTE["mtu"].nla, route.get("mtu"))] if route.get("mtu") else [])]
    if metrics:
        attrs.append(["RTA_METRICS", {"attrs": [list(item) for item in metrics]}])
    return header, attrs


# What a rule may have to be written again from a Rule.
_PLAIN_RULE = {row.nla for row in RULE.options if row.nla} | {
    "FRA_FWMASK",
    "FRA_PRIORITY",
    "FRA_PROTOCOL",
    "FRA_SUPPRESS_IFGROUP",
}
_RULE_PORTS = ("FRA_SPORT_RANGE", "FRA_DPORT_RANGE")
FIB_RULE_INVERT = 0x2


def read_rule(message: Decoded, netns: str) -> Rule:
    """The rule of a decoded RTM_NEWRULE in this namespace."""
    family = _FAMILY[message["family"]]
    found: dict[str, Any] = {"action": RULE["action"].type.decoded(message["action"])}
    for name, length in (("from", message["src_len"]), ("to", message["dst_len"])):
        if length:
            found[name] = _prefix(message.get(RULE[name].nla), length, family)
    if message.get("FRA_FWMARK") is not None or message.get("FRA_FWMASK") is not None:
        found["fwmark"] = (message.get("FRA_FWMARK") or 0, message.get("FRA_FWMASK") or 0)
    for name in ("uid_range", "source_port", "destination_port"):
        if message.get(RULE[name].nla):
            first, last = message.get(RULE[name].nla).split(":")
            found[name] = (int(first), int(last))
    for name in ("iif", "oif", "ip_protocol"):
        if message.get(RULE[name].nla):
            found[name] = message.get(RULE[name].nla)
    table = message.get("FRA_TABLE") or message["table"]
    if table and found["action"] == LOOKUP:
        found["table"] = table
    if message.get("FRA_SUPPRESS_PREFIXLEN") not in (None, _FOREVER):
        found["suppress_prefix_length"] = message.get("FRA_SUPPRESS_PREFIXLEN")
    names = set(message.names())
    # A newer kernel says a mask along with one port: an attribute that pyroute2 does not know.
    known = names - {name for name in names if name.startswith("UNKNOWN") and names & set(_RULE_PORTS)}
    return Rule(
        RulePriority(netns, family, message.get("FRA_PRIORITY") or 0),
        found,
        protocol=message.get("FRA_PROTOCOL") or 0,
        plain=known <= _PLAIN_RULE
        and found["action"] in (RULE["action"].type.argument()["choices"])
        and not message["tos"]
        and not message["flags"] & FIB_RULE_INVERT
        and message.get("FRA_SUPPRESS_IFGROUP") in (None, _FOREVER),
    )


def write_rule(rule: Rule) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes that say this rule."""
    header = {"family": AF[rule.key.family], "action": RULE["action"].type.encoded(rule.get("action")), "flags": 0, "tos": 0}
    table = rule.get("table") or 0
    header["table"] = table if table < 256 else RT_TABLE_COMPAT
    attrs: Attrs = [["FRA_PRIORITY", rule.key.priority], ["FRA_PROTOCOL", rule.protocol]]
    for name, field in (("from", "src_len"), ("to", "dst_len")):
        ip, _slash, length = (rule.get(name) or "/0").partition("/")
        header[field] = int(length)
        if int(length):
            attrs.append([RULE[name].nla, ip])
    for row in RULE.rows(rule.attributes):
        value = rule.attributes[row.name]
        if row.name == "fwmark":
            attrs += [["FRA_FWMARK", value[0]], ["FRA_FWMASK", value[1]]]
        elif isinstance(value, tuple):
            attrs.append([row.nla, f"{value[0]}:{value[1]}"])
        elif row.nla and row.name not in ("from", "to"):
            attrs.append([row.nla, value])
    return header, attrs
