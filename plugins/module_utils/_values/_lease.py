# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DHCP clients report of their leases: the environment of their hooks, and systemd-networkd's lease files. Pure.

udhcpc, dhclient and dhcpcd use three sets of variables, and three spellings of the routes of option 121. Each renewal of a
lease loads this file, so it imports as little as possible.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOREVER, Lease

GAINED, LOST, NOTHING = "gained", "lost", "nothing"
# The clients' names of events. Those of the last group do not always mean that the lease is lost: see `parse_event`.
_GAINED = ("bound", "renew", "BOUND", "RENEW", "REBIND", "REBOOT")
_LOST = ("nak", "EXPIRE", "RELEASE", "NAK")
_PERHAPS_LOST = ("deconfig", "leasefail", "FAIL")


def is_lease_event(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a hook was called for an event that may change the lease. A client that ends keeps its lease."""
    return _event_name(arguments, environment) in (*_GAINED, *_LOST, *_PERHAPS_LOST)


def _event_name(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    return arguments[0] if arguments else environment.get("reason", "")


@dataclass(frozen=True)
class LeaseEvent:
    """What a client reported; change: GAINED with the lease, LOST, or NOTHING where the lease is unchanged."""

    change: str
    lease: Lease | None = None


def parse_event(arguments: Sequence[str], environment: Mapping[str, str], expired: bool) -> LeaseEvent:
    """The event that a hook was called for with these arguments and this environment; InvalidValue if its lease is malformed.

    expired: whether the link's current lease has expired. A client that starts reports that the link has no lease, while that
    of its predecessor may still be valid.
    """
    name = _event_name(arguments, environment)
    if name in _GAINED:
        return LeaseEvent(GAINED, _parse_udhcpc(environment) if arguments else _parse_others(environment))
    if name in _LOST or (name in _PERHAPS_LOST and expired):
        return LeaseEvent(LOST)
    return LeaseEvent(NOTHING)


def _parse_udhcpc(environment: Mapping[str, str]) -> Lease:
    """BusyBox: `mask` is a length and `subnet` a mask; options unknown to it have names like `opt121`, and octets as values."""
    routes = [*_pairs(environment.get("staticroutes", "")), *_octets(_bytes(environment.get("opt121", "")))]
    routes = routes or [*_pairs(environment.get("msstaticroutes", "")), *_octets(_bytes(environment.get("opt249", "")))]
    return _lease(
        environment.get("ip", ""),
        environment.get("mask") or environment.get("subnet") or "",
        environment.get("router", ""),
        routes,
        environment.get("dns", ""),
        environment.get("domain", ""),
        environment.get("serverid", ""),
        environment.get("lease", ""),
    )


def _parse_others(environment: Mapping[str, str]) -> Lease:
    """dhclient and dhcpcd use the same names, except for the prefix length and the routes."""
    new = {name[len("new_") :]: value for name, value in environment.items() if name.startswith("new_")}
    pairs = new.get("classless_static_routes", "")
    numbers = new.get("rfc3442_classless_static_routes", "") or new.get("ms_classless_static_routes", "")
    if pairs and "/" not in pairs:  # dhclient's numbers, where its configuration gives the option this name
        pairs, numbers = "", pairs
    return _lease(
        new.get("ip_address", ""),
        new.get("subnet_cidr") or new.get("subnet_mask") or "",
        new.get("routers", ""),
        [*_pairs(pairs), *_octets(bytes(_number(word) for word in numbers.split()))],
        new.get("domain_name_servers", ""),
        new.get("domain_name", ""),
        new.get("dhcp_server_identifier", ""),
        new.get("dhcp_lease_time", ""),
    )


def parse_networkd_lease(text: str) -> Lease:
    """The lease in a file of systemd-networkd; InvalidValue if it is malformed."""
    entries = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    routes = entries.get("CLASSLESS_ROUTES") or entries.get("ROUTES") or entries.get("STATIC_ROUTES") or ""
    return _lease(
        entries.get("ADDRESS", ""),
        entries.get("NETMASK", ""),
        entries.get("ROUTER", ""),
        [*_pairs(routes.replace(",", " "))],
        entries.get("DNS", ""),
        entries.get("DOMAINNAME", ""),
        entries.get("SERVER_ADDRESS", ""),
        _seconds(entries.get("LIFETIME", "")),
    )


_UNITS = {"y": 31557600, "month": 2629800, "w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1, "": 1}


def _seconds(text: str) -> str:
    """The seconds of `120`, or of `1h 30min` as later releases write it; an empty text for anything else (infinity)."""
    parts = re.findall(r"(\d+)(y|month|w|d|h|min|s|)(?: |$)", text)
    return str(min(FOREVER, sum(int(number) * _UNITS[unit] for number, unit in parts))) if parts else ""


def _lease(
    ip: str,
    mask: str,
    routers: str,
    routes: Sequence[tuple[str, str]],
    dns: str,
    domain: str,
    server: str,
    seconds: str,
) -> Lease:
    return Lease(
        _ip(ip),
        _length(mask) if mask else 32,  # RFC 2131 allows a server to omit the mask; a single address claims the least
        tuple(_ip(word) for word in routers.split()),
        tuple(dict.fromkeys(routes)),
        tuple(_ip(word) for word in dns.split()),
        _domain(domain),
        _ip(server) if server else "",
        min(_number(seconds, FOREVER), FOREVER) if seconds else FOREVER,
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Routes in the form `198.51.100.0/24 192.0.2.9 ...`, that of udhcpc and dhcpcd."""
    words = text.split()
    if len(words) % 2:
        raise InvalidValue(f"the routes {text!r} are not pairs of a destination and a gateway")
    for destination, gateway in zip(words[::2], words[1::2]):
        ip, _slash, length = destination.partition("/")
        yield network(_ip(ip), _length(length or "32")), _ip(gateway)


def _octets(data: bytes) -> Iterator[tuple[str, str]]:
    """Routes in the form of the option itself (RFC 3442): a prefix length, as many octets as it needs, a gateway."""
    start = 0
    while start < len(data):
        length = data[start]
        size = (length + 7) // 8
        end = start + 1 + size + 4
        if length > 32 or end > len(data):
            raise InvalidValue(f"the routes {data.hex(' ')} are truncated, or have an invalid prefix length")
        destination = socket.inet_ntoa(data[start + 1 : start + 1 + size].ljust(4, b"\0"))
        yield network(destination, length), socket.inet_ntoa(data[start + 1 + size : end])
        start = end


def _bytes(text: str) -> bytes:
    if not re.fullmatch(r"([0-9a-f]{2})*", text):
        raise InvalidValue(f"{text!r} is not a sequence of octets")
    return bytes.fromhex(text)


def _ip(text: str) -> str:
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text.strip()))
    except OSError as error:
        raise InvalidValue(f"{text!r} is not an IPv4 address") from error


def _length(text: str) -> int:
    """The prefix length of `24` or `255.255.255.0`."""
    if re.fullmatch(r"\d{1,2}", text) and int(text) <= 32:
        return int(text)
    bits = f"{int.from_bytes(socket.inet_aton(_ip(text)), 'big'):032b}"
    if "01" in bits:
        raise InvalidValue(f"{text!r} is not a network mask")
    return bits.count("1")


def _number(text: str, maximum: int = 255) -> int:
    if not re.fullmatch(r"\d{1,10}", text) or int(text) > maximum:
        raise InvalidValue(f"{text!r} is not a number up to {maximum}")
    return int(text)


def _domain(text: str) -> str:
    """A domain of the server, without characters that no domain name has: it is written to files and results."""
    return " ".join(re.findall(r"[A-Za-z0-9._-]+", text))


def lease_to_json(lease: Lease | None) -> Any:
    """A lease as a value that JSON can express."""
    return None if lease is None else asdict(lease)


def lease_from_json(value: Any) -> Lease | None:
    """The lease of a JSON value; None if it is not one."""
    if not isinstance(value, Mapping) or value.keys() != {field.name for field in fields(Lease)}:
        return None
    return Lease(**{name: _tuples(entry) for name, entry in value.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
