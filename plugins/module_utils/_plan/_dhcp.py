# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of DHCP clients and of the addresses of their leases. Pure.

The address of a lease has the lifetime that the server granted, which distinguishes it from static addresses and lets it expire
when the client ends. The routes and rules of a lease are planned in _source_routing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    DesiredKey,
    DesiredLink,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOREVER, Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._dhcp_clients import ChangeClient, WaitForLease
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DHCP, NOPREFIXROUTE, identity, owner
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD

RENEW_ELSEWHERE = ("dhclient", "dhcpcd")  # their sockets are bound neither to the link nor to the address


def address_of(lease: Lease, seconds_left: int, source_routing: SourceRouting | None = None) -> Address:
    """The address, for as long as the lease is valid. By default the kernel adds no route to its network."""
    seconds = min(seconds_left, FOREVER - 1)
    flags = 0 if source_routing is not None and source_routing.connected_in_main else NOPREFIXROUTE
    return Address(lease.ip, lease.prefix_length, 4, flags, preferred=seconds, valid=seconds)


def stop_clients(items: Sequence[DesiredLink], removed: Collection[DesiredKey], state: State) -> Iterator[Operation]:
    """Stop clients before anything else, because what they would set meanwhile would stay."""
    unwanted = {item.key for item in items if item.present and item.dhcp4 is not None and not item.dhcp4.enabled}
    unwanted |= {
        item.key for item in items if item.present and _changes_to_or_from_networkd(item, state.clients.get(ClientKey(item.key)))
    }
    for key, client in state.clients.items():
        if key.link in removed or key.link in unwanted:
            yield ChangeClient(client, None)


def client_options(item: DesiredLink) -> Dhcp4 | None:
    """The desired options of a client, with the program that serves the link."""
    return None if item.dhcp4 is None else replace(item.dhcp4, client=item.dhcp4.client or item.client)


def _changes_to_or_from_networkd(item: DesiredLink, client: Client | None) -> bool:
    """Whether networkd, which sets address and routes itself, starts or stops to serve the link."""
    desired = client_options(item)
    if desired is None or client is None or not desired.enabled:
        return False
    return (desired.client == NETWORKD) != (client.options.client == NETWORKD)


def current_lease(item: DesiredLink, state: State) -> Lease | None:
    """The lease that the link has and keeps; None if it belongs to another link, or to another MAC address."""
    client, link = state.clients.get(ClientKey(item.key)), state.get(item.key)
    if client is None or link is None or client.lease is None or item.dhcp4 is None or _changes_to_or_from_networkd(item, client):
        return None
    serves = item.dhcp4.enabled and client.matches_link and client.seconds_left > 0
    return client.lease if serves and _keeps_its_mac(item, link) else None


def _keeps_its_mac(item: DesiredLink, link: Link) -> bool:
    """Whether a link has the same MAC address after a task. In mode passthru, it has the address of its lower device."""
    if item.attributes.get("address") is not None:
        return bool(item.attributes["address"] == link.address)
    changed = [item.attributes.get(name) not in (None, link.get(name)) for name in ("mode", "lower_device")]
    return PASSTHRU not in (link.mode, item.mode) or not any(changed)


def _leases_of(client: Client) -> tuple[Lease, ...]:
    """Its former leases and its current one."""
    return (*client.former, *((client.lease,) if client.lease else ()))


def add_leased_address(item: DesiredLink, observed: State, state: State) -> Iterator[Operation]:
    """Add the address of the lease, before any route that has it as its source."""
    client, link, lease = observed.clients.get(ClientKey(item.key)), state.get(item.key), current_lease(item, observed)
    if client is None or link is None or lease is None or client.options.client == NETWORKD:
        return
    before: tuple[Address, ...] = link.addresses
    new = address_of(lease, client.seconds_left, item.dhcp4.source_routing if item.dhcp4 is not None else None)
    same = [address for address in before if identity(address) == identity(new)]
    if not same:
        yield UpdateLink(link, {"addresses": (*before, new)})
    elif owner(same[0]) == DHCP and (same[0].flags ^ new.flags) & NOPREFIXROUTE:
        flags = same[0].flags & ~NOPREFIXROUTE | new.flags
        yield UpdateLink(
            link, {"addresses": tuple(replace(address, flags=flags) if address == same[0] else address for address in before)}
        )


def remove_former_addresses(item: DesiredLink, observed: State, state: State) -> Iterator[Operation]:
    """Remove the addresses of former leases, when no route has them as its source any more, unless they are static too."""
    client, link = observed.clients.get(ClientKey(item.key)), state.get(item.key)
    if client is None or link is None or item.dhcp4 is None:
        return
    lease = current_lease(item, observed)
    old = {identity(address_of(address, 0)) for address in _leases_of(client)}
    old -= {identity(address_of(lease, 0))} if lease else set()
    before: tuple[Address, ...] = link.addresses
    after = tuple(address for address in before if identity(address) not in old or owner(address) != DHCP)
    if after != before:
        yield UpdateLink(link, {"addresses": after})


def start_client(item: DesiredLink, observed: State, state: State) -> Iterator[Operation]:
    """Start the client, or restart one that was started with other options or for a deleted link."""
    key = ClientKey(item.key)
    current, before, link = state.clients.get(key), observed.get(item.key), state.get(item.key)
    options = client_options(item)
    if options is None and current is not None and not current.is_running and link is not None and link.index is None:
        options = current.options  # the link was recreated with another one
        item = replace(item, dhcp4=options)
    if options is None or not options.enabled or link is None:
        return
    check_link(link, state)
    if options.client == NETWORKD and item.sysctls.get("ipv6.accept_ra"):
        raise Refused(
            f"{item.key}: dhcp4: systemd-networkd processes router advertisements itself and sets ipv6.accept_ra to 0. "
            "Omit this sysctl, or set client: udhcpc"
        )
    moved = before is not None and link.address != before.address
    if current is None or not current.is_serving or current.options != options or moved:
        lease, former = current_lease(item, observed), observed.clients.get(key)
        started = Client(key, options, lease, former.seconds_left) if lease and former else Client(key, options, settled=False)
        yield ChangeClient(current, started)


def wait_for_lease(item: DesiredLink, state: State) -> Iterator[Operation]:
    """Wait for the lease of a link, if the task sets a time for it; all clients ask at the same time."""
    client = state.clients.get(ClientKey(item.key))
    if item.policy.wait_lease and client is not None and client.lease is None and not client.settled:
        yield WaitForLease(item.key, item.policy.wait_lease)


def rename_with_client(old: LinkKey, new: LinkKey, renaming: Sequence[Operation], state: State) -> Iterator[Operation]:
    """Rename a link; its client, which knows it by its name, is stopped before and started again afterwards."""
    client = state.clients.get(ClientKey(old))
    if client is not None:
        yield ChangeClient(client, None)
    yield from renaming
    if client is not None:
        yield ChangeClient(None, replace(client, key=ClientKey(new), is_running=True, matches_link=True))


def pause_clients(links: Sequence[Link], state: State) -> Iterator[Operation]:
    """Stop the clients of links that are deleted and created again; they are started again afterwards."""
    for link in links:
        client = state.clients.get(ClientKey(link.key))
        if client is not None and client.is_running:
            yield ChangeClient(client, replace(client, is_running=False))


def client_warnings(items: Sequence[DesiredLink], predicted: State) -> Iterator[str]:
    """Warnings about the clients that serve links after a task."""
    for item in items:
        client = predicted.clients.get(ClientKey(item.key)) if item.present and item.dhcp4 is not None else None
        if client is None or client.options.client not in RENEW_ELSEWHERE:
            continue
        other_links = [link for link in predicted if link.key.netns == item.key.netns and link.key != item.key and link.ethernet]
        if any(link.admin_state == "up" for link in other_links):
            yield (
                f"{item.key}: dhcp4: {client.options.client} sends its renewals through the link that the main table selects, "
                "with the MAC address and the IP address of that link, and a switch that filters by MAC address drops them. Set "
                "client: udhcpc, or create the link in its own network namespace"
            )


def check_link(link: Link, state: State) -> None:
    """Raise Refused or Missing if no client can get a lease on the link."""
    controller = state.get(LinkKey(link.key.netns, link.controller or ""))
    if controller is not None and kind_of(controller.kind).has_ports:
        raise Refused(
            f"{link.key}: dhcp4: the link is a port of bridge {controller.key.name}, which receives all its frames, including "
            f"the replies of a DHCP server. Set dhcp4 for {controller.key.name}, or detach {link.key.name} first"
        )
    if not link.ethernet or kind_of(link.kind).has_routing_table:
        what = "a VRF" if kind_of(link.kind).has_routing_table else "not an Ethernet link"
        raise Refused(f"{link.key}: dhcp4: the link is {what}, so no DHCP client can serve it. Omit dhcp4")
    if link.get("served_by"):
        raise Refused(
            f"{link.key}: dhcp4: {link.get('served_by')} already serves the link, and two clients would give it two addresses. "
            "Stop that client first"
        )
    if link.admin_state == "down":
        raise Missing(f"{link.key}: dhcp4: the link is down, so it cannot request a lease", "Set admin_state: up")
