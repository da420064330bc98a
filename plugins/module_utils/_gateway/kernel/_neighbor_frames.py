# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that ask or tell the neighbors of a link who has an address. The kernel sends none when an address is added."""

from __future__ import annotations

import socket
import struct

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_MULTICAST = b"\x33\x33"  # followed by the last four bytes of the group (RFC 2464, section 7)
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
NEIGHBOR_ADVERTISEMENT = 136
_ICMPV6, _OVERRIDE, _TARGET_LINK_LAYER_ADDRESS = 58, 0x20000000, 2


def announcement(mac: bytes, ip: str) -> bytes:
    """The Ethernet frame that announces an address of a link with this MAC address.

    For IPv4 a gratuitous ARP request (RFC 5227, section 3), for IPv6 an unsolicited neighbor advertisement (RFC 4861, 7.2.6).
    """
    if ":" not in ip:
        own = socket.inet_pton(socket.AF_INET, ip)
        return arp_request(mac, own, own)
    own = socket.inet_pton(socket.AF_INET6, ip)
    option = struct.pack("!BB", _TARGET_LINK_LAYER_ADDRESS, 1) + mac
    return neighbor_message(mac, own, _ALL_NODES, NEIGHBOR_ADVERTISEMENT, struct.pack("!I", _OVERRIDE) + own + option)


def arp_request(mac: bytes, sender: bytes, target: bytes) -> bytes:
    """The broadcast frame that asks for the owner of an address."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + sender + bytes(6) + target
    return _BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + arp


def neighbor_message(mac: bytes, source: bytes, group: bytes, kind: int, body: bytes) -> bytes:
    """The frame of an ICMPv6 message of neighbor discovery to a multicast group. body: all that follows the checksum."""
    length = 4 + len(body)
    pseudo_header = source + group + struct.pack("!II", length, _ICMPV6)
    checksum = _checksum(pseudo_header + struct.pack("!BBH", kind, 0, 0) + body)
    message = struct.pack("!BBH", kind, 0, checksum) + body
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, 255) + source + group
    return _MULTICAST + group[-4:] + mac + struct.pack("!H", ETH_P_IPV6) + header + message


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
