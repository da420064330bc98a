# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DHCP lease as a value, and what a client tells of it in the environment of its hook. Pure, and light: each renewal runs it.

udhcpc, dhclient and dhcpcd each have an environment of their own, and three ways to write the routes of option 121.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import network

FOLDER = "/run/patchbay/dhcp"  # what is known of each client until the next boot
FOREVER = 0xFFFFFFFF  # RFC 2131: infinity, and for the kernel an address without a lifetime
ON_LINK = "0.0.0.0"  # RFC 3442: the gateway of what is on the link itself


@dataclass(frozen=True)
class Lease:
    """What a server has given to a link.

    routes: (destination, gateway) of option 121, which ON_LINK stands in for a gateway: where there are some, a client must not
    look at routers (RFC 3442). seconds: how long it holds.
    """

    ip: str
    prefix_length: int
    routers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    domain: str = ""
    server: str = ""
    seconds: int = FOREVER

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """The routes that a host with this lease is to have beside that of its own network: (destination, gateway)."""
        return self.routes or tuple(("0.0.0.0/0", router) for router in self.routers[:1])

    def same_as(self, other: Lease | None) -> bool:
        """Whether another one says the same, but for its time."""
        return other is not None and {**vars(self), "seconds": 0} == {**vars(other), "seconds": 0}

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


GAINED, LOST, NOTHING = "gained", "lost", "nothing"
# What a client calls what has happened. Some of it is said also where nothing is lost: see `told`.
_GAINED = ("bound", "renew", "BOUND", "RENEW", "REBIND", "REBOOT")
_LOST = ("nak", "EXPIRE", "RELEASE", "NAK")
_PERHAPS = ("deconfig", "leasefail", "FAIL")


def matters(arguments: Sequence[str], given: Mapping[str, str]) -> bool:
    """Whether a hook was called for what may be news of a lease. A client that ends has not lost its own."""
    return _event(arguments, given) in (*_GAINED, *_LOST, *_PERHAPS)


def _event(arguments: Sequence[str], given: Mapping[str, str]) -> str:
    return arguments[0] if arguments else given.get("reason", "")


@dataclass(frozen=True)
class News:
    """What a client has told: GAINED with the lease, LOST, or NOTHING that changes one."""

    event: str
    lease: Lease | None = None


def told(arguments: Sequence[str], given: Mapping[str, str], expired: bool) -> News:
    """The news of a hook that was called with these arguments in this environment; InvalidValue for what is no lease.

    expired: whether the time of the lease that the link has is over. A client that starts says that the link has none, while the
    one of its predecessor still holds.
    """
    event = _event(arguments, given)
    if event in _GAINED:
        return News(GAINED, _udhcpc(given) if arguments else _others(given))
    if event in _LOST or (event in _PERHAPS and expired):
        return News(LOST)
    return News(NOTHING)


def _udhcpc(given: Mapping[str, str]) -> Lease:
    """BusyBox: `mask` is a length and `subnet` a mask; options that it does not know come as `opt121=18c0...`."""
    routes = [*_pairs(given.get("staticroutes", "")), *_octets(_bytes(given.get("opt121", "")))]
    routes = routes or [*_pairs(given.get("msstaticroutes", "")), *_octets(_bytes(given.get("opt249", "")))]
    return _lease(
        given.get("ip", ""),
        given.get("mask") or given.get("subnet") or "",
        given.get("router", ""),
        routes,
        given.get("dns", ""),
        given.get("domain", ""),
        given.get("serverid", ""),
        given.get("lease", ""),
    )


def _others(given: Mapping[str, str]) -> Lease:
    """dhclient and dhcpcd: the same names, but for the length of the prefix and the routes."""
    new = {name[len("new_") :]: value for name, value in given.items() if name.startswith("new_")}
    plain = new.get("classless_static_routes", "")
    numbers = new.get("rfc3442_classless_static_routes", "") or new.get("ms_classless_static_routes", "")
    if plain and "/" not in plain:  # what dhclient hands over of an option that its configuration calls so
        plain, numbers = "", plain
    return _lease(
        new.get("ip_address", ""),
        new.get("subnet_cidr") or new.get("subnet_mask") or "",
        new.get("routers", ""),
        [*_pairs(plain), *_octets(bytes(_number(word) for word in numbers.split()))],
        new.get("domain_name_servers", ""),
        new.get("domain_name", ""),
        new.get("dhcp_server_identifier", ""),
        new.get("dhcp_lease_time", ""),
    )


def told_by_networkd(text: str) -> Lease:
    """What a file of networkd says of a lease; InvalidValue for what is none."""
    given = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    routes = given.get("CLASSLESS_ROUTES") or given.get("ROUTES") or given.get("STATIC_ROUTES") or ""
    return _lease(
        given.get("ADDRESS", ""),
        given.get("NETMASK", ""),
        given.get("ROUTER", ""),
        [*_pairs(routes.replace(",", " "))],
        given.get("DNS", ""),
        given.get("DOMAINNAME", ""),
        given.get("SERVER_ADDRESS", ""),
        _seconds(given.get("LIFETIME", "")),
    )


_UNITS = {"y": 31557600, "month": 2629800, "w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1, "": 1}


def _seconds(text: str) -> str:
    """Of `120`, or `1h 30min` as later releases have it; nothing for what is neither (infinity)."""
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
        _length(mask) if mask else 32,  # RFC 2131 leaves it open; an address alone is never more than was given
        tuple(_ip(word) for word in routers.split()),
        tuple(dict.fromkeys(routes)),
        tuple(_ip(word) for word in dns.split()),
        _domain(domain),
        _ip(server) if server else "",
        min(_number(seconds, FOREVER), FOREVER) if seconds else FOREVER,
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """`198.51.100.0/24 192.0.2.9 ...`, as udhcpc and dhcpcd write them."""
    words = text.split()
    if len(words) % 2:
        raise InvalidValue(f"the routes {text!r} are no pairs of a destination and a gateway")
    for destination, gateway in zip(words[::2], words[1::2]):
        ip, _slash, length = destination.partition("/")
        yield network(_ip(ip), _length(length or "32")), _ip(gateway)


def _octets(data: bytes) -> Iterator[tuple[str, str]]:
    """As they stand in the option itself (RFC 3442): a length, as many octets as it needs, a gateway."""
    place = 0
    while place < len(data):
        length = data[place]
        size = (length + 7) // 8
        end = place + 1 + size + 4
        if length > 32 or end > len(data):
            raise InvalidValue(f"the routes {data.hex(' ')} end in the middle of one")
        destination = socket.inet_ntoa(data[place + 1 : place + 1 + size].ljust(4, b"\0"))
        yield network(destination, length), socket.inet_ntoa(data[place + 1 + size : end])
        place = end


def _bytes(text: str) -> bytes:
    if not re.fullmatch(r"([0-9a-f]{2})*", text):
        raise InvalidValue(f"{text!r} are no bytes")
    return bytes.fromhex(text)


def _ip(text: str) -> str:
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text.strip()))
    except OSError as error:
        raise InvalidValue(f"{text!r} is no IPv4 address") from error


def _length(text: str) -> int:
    """Of `24` or `255.255.255.0`."""
    if re.fullmatch(r"\d{1,2}", text) and int(text) <= 32:
        return int(text)
    bits = f"{int.from_bytes(socket.inet_aton(_ip(text)), 'big'):032b}"
    if "01" in bits:
        raise InvalidValue(f"{text!r} is no network mask")
    return bits.count("1")


def _number(text: str, most: int = 255) -> int:
    if not re.fullmatch(r"\d{1,10}", text) or int(text) > most:
        raise InvalidValue(f"{text!r} is no number up to {most}")
    return int(text)


def _domain(text: str) -> str:
    """What a server says goes into files and results: nothing but what names are made of."""
    return " ".join(re.findall(r"[A-Za-z0-9._-]+", text))


def saved(lease: Lease | None) -> Any:
    """A lease, made of what JSON has."""
    return None if lease is None else asdict(lease)


def restored(found: Any) -> Lease | None:
    """The lease that was saved; None for what is none."""
    if not isinstance(found, Mapping) or found.keys() != {field.name for field in fields(Lease)}:
        return None
    return Lease(**{name: _tuples(value) for name, value in found.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, (list, tuple)) else value


def path_of(netns: str, link: str) -> str:
    """The file of the client of a link."""
    return f"{FOLDER}/{stem(netns, link)}.json"


def stem(netns: str, link: str) -> str:
    """What the client of a link is called: the name of a link may have an @ of its own."""
    place = f"{_quoted(netns)}@" if netns else ""
    return place + _quoted(link)


def _quoted(name: str) -> str:
    """Without what has a meaning in the name of a file here, or in the command of a unit."""
    return name.replace("%", "%25").replace("@", "%40").replace("$", "%24")
