# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses and networks."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, BITS, family_of, network
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Type


def ip_interface(value: Any) -> tuple[str, int]:
    """(address, prefix length) of `192.0.2.1/24`, for a link to have; InvalidValue for what the kernel takes and never uses."""
    text = str(value).strip()
    if "/" not in text:
        raise InvalidValue(f"{text!r} has no prefix length. Append one, as in 192.0.2.1/24")
    ip, length = _split(text)
    address = ipaddress.ip_address(ip)
    if address.is_unspecified or address.is_multicast or ip == "255.255.255.255":
        raise InvalidValue(f"{ip} cannot be the address of a link")
    return ip, length


def _split(text: str) -> tuple[str, int]:
    ip, _slash, length = text.partition("/")
    ip = Ip().parse(ip)
    bits = BITS[family_of(ip)]
    if not re.fullmatch(r"\d{1,3}", length or str(bits)) or int(length or bits) > bits:
        raise InvalidValue(f"{text!r} has no prefix length between 0 and {bits}")
    return ip, int(length or bits)


@dataclass(frozen=True)
class Ip(Type):
    """An IP address; normal form: as inet_ntop writes it."""

    def parse(self, value: Any) -> str:
        """The address. `010.1.2.3` is refused: some take it for octal, and some do not."""
        text = str(value).strip()
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidValue(f"{text!r} is not an IP address") from error
        if (address.version == 4 and re.search(r"(^|\.)0\d", text)) or "%" in text:
            raise InvalidValue(f"{text!r} is not an IP address. Omit leading zeros and the zone")
        return socket.inet_ntop(AF[address.version], address.packed)


@dataclass(frozen=True)
class Network(Type):
    """A network, or one address of 32 or 128 bits, or `default`; normal form: `192.0.2.0/24`, and "default" until it is known
    of which family."""

    def parse(self, value: Any) -> str:
        """The network; one with host bits is refused, for some of the kernel drops them and some keeps them."""
        text = str(value).strip()
        if text in ("default", "all", "any"):
            return "default"
        ip, length = _split(text)
        if network(ip, length) != f"{ip}/{length}":
            raise InvalidValue(f"{text} has bits set beyond its prefix length. Use {network(ip, length)}")
        return f"{ip}/{length}"
