# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that change a link, in the order in which each takes effect."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import loses_ipv6_addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, Link
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
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import address_changes, in_order_of_adding


def requests_to_change(link: Link, after: Attributes) -> list[Request]:
    """The requests that change a link, ordered so that each takes effect.

    A set request is not atomic, and the kernel applies flags and controller last, in an order of its own. So whatever must
    hold before the link comes up (an address generation mode, sysctls) is requested first, and flags are requested last. The
    exception is nopromisc on a passthru link that comes up: the kernel accounts for it correctly only while the link is up.
    """
    kind, view = kind_of(link.kind), AttributeView(after)
    mode = view.mode or link.mode

    def stored_in(*stores: Store) -> dict[str, object]:
        rows = kind.rows(after)
        return {row.name: after[row.name] for row in rows if row.store in stores and row.is_accepted_in(mode)}

    message, flags = stored_in(Store.MESSAGE, Store.DATA, Store.SOURCES), stored_in(Store.FLAG)
    port = stored_in(Store.PORT)
    final: list[Request] = []
    if stored_in(Store.DATA_FLAG):  # bits of one word, which is always written as a whole
        bits = [row.name for row in kind.attributes if row.store is Store.DATA_FLAG]
        word = {name: after.get(name, link.get(name) or False) for name in bits}
        if mode == PASSTHRU and flags.get("admin_state") == "up":
            final = [SetLink(link.key, link.kind, word)]
        else:
            message.update(word)
    while_up = {row.name: port.pop(row.name) for row in kind.rows(port) if row.only_while_up}
    # IPv6 has a request of its own: the kernel checks whether the link has IPv6 before it applies an MTU of the same request.
    # Port settings have one too: the request that attaches a link does not apply them.
    parts = [message, stored_in(Store.INET6), port]
    if kind.has_ports and message.get("stp_state") is False:  # otherwise the limits of STP apply to the other values
        parts.insert(0, {"stp_state": message.pop("stp_state")})
    requests: list[Request] = [SetLink(link.key, link.kind, part) for part in parts if part]
    if "altnames" in after:
        old, new = link.altnames, view.altnames
        requests += [RemoveAltname(link.key, name) for name in old if name not in new]
        requests += [AddAltname(link.key, name) for name in new if name not in old]
    requests += [WriteSysctl(link.key, name, value) for name, value in view.sysctls.items()]
    if stored_in(Store.NODE):
        requests.append(SetNode(link.key, stored_in(Store.NODE)))
    requests += [SetLink(link.key, link.kind, part) for part in (flags, while_up) if part]
    return requests + final + _address_requests(link, after)


def _address_requests(link: Link, after: Attributes) -> list[Request]:
    """New addresses first: a link that loses its last IPv4 address loses all its IPv4 routes."""
    if "addresses" not in after:
        return []
    before = link.addresses
    if loses_ipv6_addresses(link, after):
        before = tuple(address for address in before if address.family == 4)
    difference = address_changes(before, AttributeView(after).addresses)
    requests: list[Request] = [AddAddress(link.key, address) for address in in_order_of_adding(difference.add)]
    requests += [ReplaceAddress(link.key, address) for address in difference.replace]
    for old, new in difference.readd:
        requests += [RemoveAddress(link.key, old), AddAddress(link.key, new)]
    for address in difference.reorder:
        requests += [RemoveAddress(link.key, address), AddAddress(link.key, address)]
    return requests + [RemoveAddress(link.key, address) for address in difference.remove]
