# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answers for an address on a link. The question leaves no trace: it says nothing about an address of our own."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._announce import (
    ETH_P_ARP,
    ETH_P_IPV6,
    NEIGHBOUR_ADVERTISEMENT,
    arp_request,
    neighbour_message,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope

ETH_P_ALL = 3  # a bridge or a macvlan takes a frame away before those who listen for its own protocol see it
ARPHRD_ETHER = 1
_NEIGHBOUR_SOLICITATION, _SOURCE_LINK_LAYER_ADDRESS, _TARGET_LINK_LAYER_ADDRESS = 135, 1, 2
_SOLICITED_NODE = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_MULTICAST = 26, 263, 1, 0
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_NO_CARRIER = ("down", "lowerlayerdown", "notpresent")
_STEP = 0.02

# The kernel filters, so that a busy link does not push the answers out of the queue: (code, jump if true, if false, number)
_FILTER = (
    (0x28, 0, 0, 12),  # the protocol
    (0x15, 5, 0, ETH_P_ARP),
    (0x15, 0, 11, ETH_P_IPV6),
    (0x30, 0, 0, 20),  # of IPv6, the next header
    (0x15, 0, 9, 58),
    (0x30, 0, 0, 54),  # of ICMPv6, the type
    (0x15, 0, 7, NEIGHBOUR_ADVERTISEMENT),
    (0x20, 0, 0, 0xFFFFF000 + 48),  # whether it is of a VLAN, which the frame itself does not tell any more
    (0x15, 3, 0, 0),
    (0x20, 0, 0, 0xFFFFF000 + 44),  # of which one: 0 is none
    (0x54, 0, 0, 0xFFF),
    (0x15, 0, 2, 0),
    (0x20, 0, 0, 0xFFFFF000 + 4),  # its way: what leaves is no answer
    (0x15, 0, 1, socket.PACKET_OUTGOING),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF),
)


def ask(gateway: KernelGateway, key: LinkKey, ips: Sequence[str], seconds: float, count: int) -> dict[str, list[str]]:
    """The MAC addresses that answer for each address; each is asked for `count` times, and given these seconds each time."""
    link = _with_carrier(gateway, key, seconds)
    sources = [one.ip for one in link.addresses if is_link_local(one.ip) and one.settled]
    try:
        with gateway.packet_socket(key) as packets:
            _name, _protocol, _way, hardware, mac = packets.getsockname()
            if hardware != ARPHRD_ETHER:
                raise Refused(f"{key} is no Ethernet link: nobody can be asked for an address there. Name another link")
            questions = [question(mac, ip, next(iter(sources), "::")) for ip in ips]
            _listen(packets, key.name, link.index)
            found: dict[str, set[str]] = {ip: set() for ip in ips}
            for _time in range(count):
                for frame in questions:
                    packets.send(frame)
                _collect(packets, found, seconds)
    except PermissionError as error:
        raise Refused(
            f"Only root may ask who answers on {key} (it takes the capability CAP_NET_RAW). Write become: true"
        ) from error
    except OSError as error:
        text = os.strerror(error.errno or 0)
        raise RequestFailed(f"nobody could be asked on {key}: {text}", error.errno or 0, text) from error
    _with_carrier(gateway, key, 0)  # silence of a cable that was pulled out meanwhile is no answer
    return {ip: sorted(macs) for ip, macs in found.items()}


def _with_carrier(gateway: KernelGateway, key: LinkKey, seconds: float) -> Link:
    """The link, with its addresses; one that was set up a moment ago gets some time for its carrier."""
    end = time.monotonic() + seconds
    while True:
        link = gateway.observe(Scope(links=frozenset({key}), traffic=frozenset({key.netns}))).get(key)
        if link is None:
            raise Refused(f"There is no link {key}: nobody can be asked there. Correct the name")
        if link.admin_state != "up":
            raise Refused(f"{key} is down: nobody can be asked there. Set it up first (admin_state: up)")
        if link.oper_state not in _NO_CARRIER:
            return link
        if time.monotonic() > end:
            raise Refused(f"{key} has no carrier: nobody can be asked there. Is the cable plugged in, and the other end up?")
        time.sleep(_STEP)


def _listen(packets: socket.socket, name: str, index: int | None) -> None:
    """Hear answers, and nothing else, from now on."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _FILTER))
    program = struct.pack("@HP", len(_FILTER), ctypes.addressof(code))
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    # where IPv6 is off, the link may not take what goes to all nodes; it goes with the socket
    member = struct.pack("@iHH8s", index or 0, _PACKET_MR_MULTICAST, 6, _ALL_NODES_MAC)
    packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
    packets.bind((name, ETH_P_ALL))


def _collect(packets: socket.socket, found: dict[str, set[str]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        packets.settimeout(left)
        try:
            said = answer(packets.recv(2048))
        except socket.timeout:
            return
        if said is not None and said[0] in found:
            found[said[0]].add(said[1])


def question(mac: bytes, ip: str, source: str = "::") -> bytes:
    """The frame that asks who has an address.

    For IPv4 an ARP probe (RFC 5227, section 2.1): without a sender's address, nobody learns anything from it. For IPv6 a
    neighbour solicitation, from a link-local address where there is one: the one without is what duplicate address detection
    sends, and an owner who is at that himself would give the address up.
    """
    if family_of(ip) == 4:
        return arp_request(mac, bytes(4), socket.inet_pton(socket.AF_INET, ip))
    sender, target = (socket.inet_pton(socket.AF_INET6, one) for one in (source, ip))
    option = struct.pack("!BB", _SOURCE_LINK_LAYER_ADDRESS, 1) + mac if any(sender) else b""
    group = _SOLICITED_NODE[:13] + target[13:]
    return neighbour_message(mac, sender, group, _NEIGHBOUR_SOLICITATION, bytes(4) + target + option)


def answer(frame: bytes) -> tuple[str, str] | None:
    """(address, MAC) of a frame by which somebody claims an address, whomever he says it to; None of any other."""
    (protocol,) = struct.unpack_from("!H", frame, 12)
    if protocol == ETH_P_ARP and len(frame) >= 42 and any(frame[28:32]):
        return socket.inet_ntop(socket.AF_INET, frame[28:32]), frame[22:28].hex(":")
    if protocol == ETH_P_IPV6 and len(frame) >= 78 and frame[54] == NEIGHBOUR_ADVERTISEMENT:
        option = frame[78:86] if frame[78:80] == bytes((_TARGET_LINK_LAYER_ADDRESS, 1)) and len(frame) >= 86 else b""
        return socket.inet_ntop(socket.AF_INET6, frame[62:78]), (option[2:] or frame[6:12]).hex(":")
    return None
