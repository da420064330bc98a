# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses of links in netlink messages. Without I/O."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Attrs, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, FAMILY_OF_AF
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address

_FOREVER = 0xFFFFFFFF


def read_address(message: Decoded, link: str = "") -> Address:
    """The address of a decoded RTM_NEWADDR. link: the name of its link, which the kernel returns as label if none was set."""
    flags = message.get("IFA_FLAGS")
    ip = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
    peer_ip = message.get("IFA_ADDRESS")
    lifetimes = message.get("IFA_CACHEINFO") or {}
    valid = lifetimes.get("ifa_valid", _FOREVER)
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
        preferred=None if valid == _FOREVER else lifetimes.get("ifa_preferred"),
        valid=None if valid == _FOREVER else valid,
    )


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
    if address.valid is not None:
        attrs.append(
            [
                "IFA_CACHEINFO",
                {"ifa_preferred": address.preferred, "ifa_valid": address.valid, "cstamp": 0, "tstamp": 0},
            ]
        )
    return header, attrs
