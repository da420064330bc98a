# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of a DHCP lease: whether the kernel still uses it, and how it gets a new lifetime.

Each renewal runs this, so it does without pyroute2.
"""

from __future__ import annotations

import socket
import struct

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import (
    HEADER,
    NetlinkError,
    NetlinkSocket,
    attribute,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOREVER, ON_LINK, Lease

_RTM_NEWADDR, _FLAGS = 20, 0x105  # NLM_F_REPLACE, NLM_F_REQUEST and NLM_F_ACK
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS, _IFA_F_NOPREFIXROUTE = 1, 2, 6, 8, 0x200  # linux/if_addr.h
_DISCARD_PORT = 9


def renew(link: str, lease: Lease) -> bool:
    """Give the address of a lease its new lifetime; False if the link is gone or the kernel refuses."""
    seconds = min(lease.seconds, FOREVER - 1)
    ip = socket.inet_pton(socket.AF_INET, lease.ip)
    try:
        index = socket.if_nametoindex(link)
    except OSError:
        return False
    body = _IFADDRMSG.pack(socket.AF_INET, lease.prefix_length, 0, 0, index)
    body += attribute(_IFA_LOCAL, ip) + attribute(_IFA_ADDRESS, ip)
    body += attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NOPREFIXROUTE))
    body += attribute(_IFA_CACHEINFO, struct.pack("=IIII", seconds, seconds, 0, 0))
    opened = NetlinkSocket()
    try:
        opened.request(HEADER.pack(HEADER.size + len(body), _RTM_NEWADDR, _FLAGS, 0, 0) + body)
    except NetlinkError:
        return False
    finally:
        opened.close()
    return True


def is_usable(lease: Lease, with_routes: bool) -> bool:
    """Whether the address exists and reaches the gateways of the lease: a link that was down has lost its routes.

    with_routes: whether the client makes routes by these gateways at all.
    """
    gateways = {gateway for _destination, gateway in lease.effective_routes if with_routes} - {ON_LINK}
    for gateway in gateways | {""}:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            try:
                probe.bind((lease.ip, 0))
                if gateway:
                    probe.connect((gateway, _DISCARD_PORT))  # sends nothing: the kernel looks for a route
            except OSError:
                return False
    return True
