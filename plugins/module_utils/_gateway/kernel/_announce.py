# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that tell neighbours and switches who has an address now. The kernel sends none when an address is added."""

from __future__ import annotations

import socket
import struct

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_MULTICAST = b"\x33\x33"  # and the last four bytes of the group (RFC 2464, section 7)
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
NEIGHBOUR_ADVERTISEMENT = 136
_ICMPV6, _OVERRIDE, _TARGET_LINK_LAYER_ADDRESS = 58, 0x20000000, 2


def frame(mac: bytes, ip: str) -> bytes:
    """The whole Ethernet frame that announces an address of a link with this MAC.

    For IPv4 a gratuitous ARP request (RFC 5227, section 3), for IPv6 an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
    """
    if ":" not in ip:
        own = socket.inet_pton(socket.AF_INET, ip)
        return arp_request(mac, own, own)
    own = socket.inet_pton(socket.AF_INET6, ip)
    option = struct.pack("!BB", _TARGET_LINK_LAYER_ADDRESS, 1) + mac
    return neighbour_message(mac, own, _ALL_NODES, NEIGHBOUR_ADVERTISEMENT, struct.pack("!I", _OVERRIDE) + own + option)


def arp_request(mac: bytes, sender: bytes, target: bytes) -> bytes:
    """The frame that asks all for the owner of an address."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + sender + bytes(6) + target
    return _BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + arp


def neighbour_message(mac: bytes, source: bytes, group: bytes, kind: int, body: bytes) -> bytes:
    """The frame of an ICMPv6 message of neighbour discovery to a multicast group; `body`: all behind the checksum."""
    length = 4 + len(body)
    pseudo = source + group + struct.pack("!II", length, _ICMPV6)
    check = _checksum(pseudo + struct.pack("!BBH", kind, 0, 0) + body)
    message = struct.pack("!BBH", kind, 0, check) + body
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, 255) + source + group
    return _MULTICAST + group[-4:] + mac + struct.pack("!H", ETH_P_IPV6) + header + message


def _checksum(data: bytes) -> int:
    """The one of RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
