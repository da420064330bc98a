# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses of links in netlink messages. Without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from socket import AF_INET6, inet_pton

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Attrs, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, FAMILY_OF_AF, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import KERNEL_LL, PERMANENT

_FOREVER = 0xFFFFFFFF
_STABLE_SECRET, _RANDOM = 2, 3  # linux/if_link.h: IN6_ADDR_GEN_MODE_*


def read_address(message: Decoded, link: str = "") -> Address:
    """The address of a decoded RTM_NEWADDR. link: the name of its link, which the kernel returns as label if none was set."""
    flags = message.get("IFA_FLAGS")
    ip = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
    peer_ip = message.get("IFA_ADDRESS")
    lifetimes = message.get("IFA_CACHEINFO") or {}
    valid, preferred = lifetimes.get("ifa_valid", _FOREVER), lifetimes.get("ifa_preferred", _FOREVER)
    return Address(
        ip=ip,
        prefix_length=message["prefixlen"],
        family=FAMILY_OF_AF[message["family"]],
        flags=message["flags"] if flags is None else flags,
        scope=message["scope"],
        peer_ip=peer_ip if peer_ip != ip else None,
        broadcast=message.get("IFA_BROADCAST"),
        label=None if message.get("IFA_LABEL") == link else message.get("IFA_LABEL"),
        metric=message.get("IFA_RT_PRIORITY"),
        protocol=message.get("IFA_PROTO"),
        preferred=None if preferred == _FOREVER else preferred,
        valid=None if valid == _FOREVER else valid,
    )


def with_origin(addresses: Sequence[Address], generation_mode: int | None) -> list[Address]:
    """The addresses of a link of a kernel before 5.18, which reports no origin: with that of the link-local ones it generated.

    generation_mode: address_generation_mode of the link. The addresses that the kernel derives from a MAC address are known by
    their form, also when that is no longer the MAC address of the link. Those of the modes stable_secret and random have no form.
    """
    has_no_form = generation_mode in (_STABLE_SECRET, _RANDOM)
    return [
        as_generated(address) if is_user_link_local(address) and (has_no_form or _is_eui64(address.ip)) else address
        for address in addresses
    ]


def is_user_link_local(address: Address) -> bool:
    """Whether it is a link-local address that looks like one that a user has set."""
    is_set = address.flags & PERMANENT and address.protocol is None
    return bool(is_set) and address.prefix_length == 64 and is_link_local(address.ip)


def as_generated(address: Address) -> Address:
    """The address, with the origin of those that the kernel generates."""
    return replace(address, protocol=KERNEL_LL)


def _is_eui64(ip: str) -> bool:
    return inet_pton(AF_INET6, ip)[11:13] == b"\xff\xfe"


# linux/if_addr.h: the flags that a request may set; the kernel keeps the others (tentative, permanent, secondary...)
_IFA_F_WRITABLE = 0x02 | 0x10 | 0x100 | 0x200 | 0x400  # nodad, home, mngtmpaddr, noprefixroute, mcautojoin


def write_address(address: Address, index: int) -> tuple[dict[str, int], Attrs]:
    """The header fields and attributes of an RTM_NEWADDR that adds this address, or an RTM_DELADDR that removes only it."""
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
    if address.valid is not None or address.preferred is not None:
        valid, preferred = (_FOREVER if seconds is None else seconds for seconds in (address.valid, address.preferred))
        attrs.append(["IFA_CACHEINFO", {"ifa_preferred": preferred, "ifa_valid": valid, "cstamp": 0, "tstamp": 0}])
    return header, attrs
