# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the kernel to change a link, in the order in which each request takes effect."""

from __future__ import annotations

from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, Link
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._ipv6 import takes_ipv6_off
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    RemoveAddress,
    RemoveAltname,
    ReplaceAddress,
    Request,
    SetLink,
    SetNode,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import in_order_of_adding, steps


def requests_to_change(link: Link, after: Attributes) -> list[Request]:
    """The requests that change a link, ordered so that each takes effect.

    A set request is not atomic, and the kernel ends it with flags and controller in an order of its own. So all that must
    hold before the link comes up (an address generation mode, sysctls) is asked for first, and flags come last. Except
    nopromisc on a passthru link that comes up: the kernel counts it right only while the link is up.
    """
    kind = kind_of(link.kind)
    mode = after.get("mode", link.get("mode"))

    def of(*stores: Store) -> dict[str, Any]:
        return {row.name: after[row.name] for row in kind.rows(after) if row.store in stores and is_accepted(row, {"mode": mode})}

    message, flags, port = of(Store.MESSAGE, Store.DATA, Store.SOURCES), of(Store.FLAG), of(Store.PORT)
    last: list[Request] = []
    if of(Store.DATA_FLAG):  # bits of a word that is always written whole
        bits = [row.name for row in kind.attributes if row.store is Store.DATA_FLAG]
        word = {name: after.get(name, link.get(name) or False) for name in bits}
        if mode == PASSTHRU and flags.get("admin_state") == "up":
            last = [SetLink(link.key, link.kind, word)]
        else:
            message.update(word)
    # The state of STP holds only once the port is up.
    late = {name: port.pop(name) for name in ("stp_state",) if name in port}
    # IPv6 on its own: the kernel looks whether the link has it before it applies an MTU of the same request. The settings of a
    # port too: a link becomes one with one request, and takes them with another.
    parts = [message, of(Store.INET6), port]
    if link.kind == "bridge" and message.get("stp_state") is False:  # or the bounds of STP hold for what comes with it
        parts.insert(0, {"stp_state": message.pop("stp_state")})
    requests: list[Request] = [SetLink(link.key, link.kind, part) for part in parts if part]
    if "altnames" in after:
        old = link.get("altnames") or ()
        requests += [RemoveAltname(link.key, name) for name in old if name not in after["altnames"]]
        requests += [AddAltname(link.key, name) for name in after["altnames"] if name not in old]
    requests += [WriteSysctl(link.key, name, value) for name, value in after.get("sysctls", {}).items()]
    if of(Store.NODE):
        requests.append(SetNode(link.key, of(Store.NODE)))
    requests += [SetLink(link.key, link.kind, part) for part in (flags, late) if part]
    return requests + last + _address_requests(link, after)


def _address_requests(link: Link, after: Attributes) -> list[Request]:
    """What is new first: a link that loses its last IPv4 address loses all IPv4 routes."""
    if "addresses" not in after:
        return []
    before = link.get("addresses") or ()
    if takes_ipv6_off(link, after):
        before = tuple(address for address in before if address.family == 4)
    found = steps(before, after["addresses"])
    requests: list[Request] = [AddAddress(link.key, address) for address in in_order_of_adding(found.add)]
    requests += [ReplaceAddress(link.key, address) for address in found.replace]
    for old, new in found.again:
        requests += [RemoveAddress(link.key, old), AddAddress(link.key, new)]
    for address in found.behind:
        requests += [RemoveAddress(link.key, address), AddAddress(link.key, address)]
    return requests + [RemoveAddress(link.key, address) for address in found.remove]


def is_accepted(row: Attribute, attributes: Attributes) -> bool:
    """The kernel refuses a list of source addresses, even an empty one, in any mode but source."""
    return row.store is not Store.SOURCES or attributes.get("mode") == SOURCE


def is_ignored_by_passthru(row: Attribute, attributes: Attributes) -> bool:
    """A new passthru link takes the MAC of its lower device, whatever the creating request says."""
    return row.name == "address" and attributes.get("mode") == PASSTHRU
