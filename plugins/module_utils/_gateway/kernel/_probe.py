# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MAC addresses answer for an address on a link. A probe names no address of its sender, so no neighbor caches anything."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._neighbor_frames import (
    ETH_P_ARP,
    ETH_P_IPV6,
    NEIGHBOR_ADVERTISEMENT,
    arp_request,
    neighbor_message,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._observation import Observer
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope

ETH_P_ALL = 3  # a bridge or a macvlan takes a frame before sockets that listen for one protocol see it
ARPHRD_ETHER = 1
_NEIGHBOR_SOLICITATION, _SOURCE_LINK_LAYER_ADDRESS, _TARGET_LINK_LAYER_ADDRESS = 135, 1, 2
_SOLICITED_NODE = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_MULTICAST = 26, 263, 1, 0
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_NO_CARRIER = ("down", "lowerlayerdown", "notpresent")
_STEP = 0.02

# A filter in the kernel, so that a busy link does not push replies out of the queue: (code, jump if true, if false, number)
_FILTER = (
    (0x28, 0, 0, 12),  # protocol
    (0x15, 5, 0, ETH_P_ARP),
    (0x15, 0, 11, ETH_P_IPV6),
    (0x30, 0, 0, 20),  # IPv6: next header
    (0x15, 0, 9, 58),
    (0x30, 0, 0, 54),  # ICMPv6: type
    (0x15, 0, 7, NEIGHBOR_ADVERTISEMENT),
    (0x20, 0, 0, 0xFFFFF000 + 48),  # whether it had a VLAN tag, which the frame itself no longer has
    (0x15, 3, 0, 0),
    (0x20, 0, 0, 0xFFFFF000 + 44),  # VLAN tag: 0 is none
    (0x54, 0, 0, 0xFFF),
    (0x15, 0, 2, 0),
    (0x20, 0, 0, 0xFFFFF000 + 4),  # direction: what leaves is no reply
    (0x15, 0, 1, socket.PACKET_OUTGOING),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF),
)


def probe(kernel: Kernel, key: LinkKey, ips: Sequence[str], seconds: float, count: int) -> dict[str, list[str]]:
    """The MAC addresses that answer for each address, each of which is probed `count` times, `seconds` seconds each time."""
    link = _link_with_carrier(kernel, key, seconds)
    sources = [address.ip for address in link.addresses if is_link_local(address.ip) and address.settled]
    try:
        with kernel.namespace(key.netns).packet_socket(key.name) as packets:
            _name, _protocol, _direction, hardware, mac = packets.getsockname()
            if hardware != ARPHRD_ETHER:
                raise Refused(f"{key}: it is not an Ethernet link, so it cannot be probed. Choose another link")
            frames = [request(mac, ip, next(iter(sources), "::")) for ip in ips]
            _listen(packets, key.name, link.index)
            macs: dict[str, set[str]] = {ip: set() for ip in ips}
            for _time in range(count):
                for frame in frames:
                    packets.send(frame)
                _collect(packets, macs, seconds)
    except PermissionError as error:
        raise Refused(f"{key}: only root can probe a link (CAP_NET_RAW is required). Set become: true") from error
    except OSError as error:
        text = os.strerror(error.errno or 0)
        raise RequestFailed(f"{key} cannot be probed: {text}", error.errno or 0, text) from error
    _link_with_carrier(kernel, key, 0)  # without a carrier, silence means nothing
    return {ip: sorted(found) for ip, found in macs.items()}


def _link_with_carrier(kernel: Kernel, key: LinkKey, seconds: float) -> Link:
    """The link, with its addresses; a link that was just set up gets some time for its carrier."""
    end = time.monotonic() + seconds
    scope = Scope(links=frozenset({key}), routing=frozenset({key.netns}))
    while True:
        link = next((link for link in Observer(kernel).observe(scope).links if link.key == key), None)
        if link is None:
            raise Refused(f"{key} does not exist, so it cannot be probed. Correct the name")
        if link.admin_state != "up":
            raise Refused(f"{key} is down, so it cannot be probed. Set admin_state: up first")
        if link.oper_state not in _NO_CARRIER:
            return link
        if time.monotonic() > end:
            raise Refused(f"{key} has no carrier, so it cannot be probed. Check the cable and the other end")
        time.sleep(_STEP)


def _listen(packets: socket.socket, name: str, index: int | None) -> None:
    """Have a socket receive replies, and nothing else, from now on."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _FILTER))
    program = struct.pack("@HP", len(_FILTER), ctypes.addressof(code))
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    # If IPv6 is disabled, the link may drop frames to all nodes. The membership ends with the socket.
    membership = struct.pack("@iHH8s", index or 0, _PACKET_MR_MULTICAST, 6, _ALL_NODES_MAC)
    packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    packets.bind((name, ETH_P_ALL))


def _collect(packets: socket.socket, macs: dict[str, set[str]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        packets.settimeout(left)
        try:
            claim = claim_of(packets.recv(2048))
        except socket.timeout:
            return
        if claim is not None and claim[0] in macs:
            macs[claim[0]].add(claim[1])


def request(mac: bytes, ip: str, source: str = "::") -> bytes:
    """The frame that asks who has an address.

    For IPv4 an ARP probe (RFC 5227, section 2.1): it names no sender's address, so no neighbor caches one. For IPv6 a neighbor
    solicitation, from a link-local address if there is one: duplicate address detection sends the one without, and an owner
    that performs it at the same moment would give up its address.
    """
    if family_of(ip) == 4:
        return arp_request(mac, bytes(4), socket.inet_pton(socket.AF_INET, ip))
    sender, target = (socket.inet_pton(socket.AF_INET6, address) for address in (source, ip))
    option = struct.pack("!BB", _SOURCE_LINK_LAYER_ADDRESS, 1) + mac if any(sender) else b""
    group = _SOLICITED_NODE[:13] + target[13:]
    return neighbor_message(mac, sender, group, _NEIGHBOR_SOLICITATION, bytes(4) + target + option)


def claim_of(frame: bytes) -> tuple[str, str] | None:
    """(address, MAC address) of a frame by which a host claims an address, whoever it is sent to; None for any other frame."""
    (protocol,) = struct.unpack_from("!H", frame, 12)
    if protocol == ETH_P_ARP and len(frame) >= 42 and any(frame[28:32]):
        return socket.inet_ntop(socket.AF_INET, frame[28:32]), frame[22:28].hex(":")
    if protocol == ETH_P_IPV6 and len(frame) >= 78 and frame[54] == NEIGHBOR_ADVERTISEMENT:
        option = frame[78:86] if frame[78:80] == bytes((_TARGET_LINK_LAYER_ADDRESS, 1)) and len(frame) >= 86 else b""
        return socket.inet_ntop(socket.AF_INET6, frame[62:78]), (option[2:] or frame[6:12]).hex(":")
    return None
