# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses and networks as texts, spelled as inet_ntop does: `str(ipaddress)` differs between releases of Python."""

from __future__ import annotations

import socket

AF = {4: socket.AF_INET, 6: socket.AF_INET6}
FAMILY_OF_AF = {int(number): family for family, number in AF.items()}
BITS = {4: 32, 6: 128}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def family_of(text: str) -> int:
    """4 or 6, of an address or a network."""
    return 6 if ":" in text else 4


def network(ip: str, length: int) -> str:
    """The network of this prefix length that an address is in: `192.0.2.7`, 24 -> `192.0.2.0/24`."""
    family = family_of(ip)
    bits = BITS[family]
    number = int.from_bytes(socket.inet_pton(AF[family], ip), "big") >> (bits - length) << (bits - length)
    return f"{socket.inet_ntop(AF[family], number.to_bytes(bits // 8, 'big'))}/{length}"


def last_address(network_: str) -> str:
    """The last address of a network, which is its broadcast address in IPv4: `192.0.2.0/24` -> `192.0.2.255`."""
    ip, _slash, length = network_.partition("/")
    family = family_of(ip)
    bits = BITS[family]
    number = int.from_bytes(socket.inet_pton(AF[family], ip), "big") | (1 << (bits - int(length))) - 1
    return socket.inet_ntop(AF[family], number.to_bytes(bits // 8, "big"))


def inside(ip: str, network_: str) -> bool:
    """Whether an address is in a network."""
    return family_of(ip) == family_of(network_) and network(ip, int(network_.partition("/")[2])) == network_


def is_link_local(ip: str) -> bool:
    """Whether it is one of fe80::/10."""
    return family_of(ip) == 6 and network(ip, 10) == "fe80::/10"
