# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recreation: a link is deleted and created again, with all contents that can be restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import shares_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import has_ipv6
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, AttributeView, Link, Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RTPROT_RA, Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    UpdateLink,
    chosen_attributes,
    initial_attributes,
    peer_creation_attributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import check
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._deletion import delete
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._dhcp import pause_clients
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._restoration import is_restorable, restorable_contents
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import is_kernel_made
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    RA,
    STATIC,
    as_added,
    completed,
    identity,
    owner,
)


def recreate(case: Situation, current: Link, fixed: Iterable[str], context: Context) -> Iterator[Operation]:
    """Delete a link and create it again; a warning names what it loses. fixed: the changes that need that, as sentences."""
    item, state = case.desired, context.predicted
    peer = state.get(current.peer)
    former, former_peer = FormerLink.of(current, state), None if peer is None else FormerLink.of(peer, state)
    ports = state.attached_to(current.key)
    deletion = delete(current, context, recreated=", ".join(fixed))
    yield from pause_clients([current, *(link for link, _contents in deletion.cascaded)], state)
    yield deletion
    new = _successor(item, former, state)
    attributes = AttributeView(new.attributes)
    lower = state.get(attributes.lower_device)
    if lower is None and "lower_device" in kind_of(current.kind).needs:
        missing = attributes.lower_device
        reason = f"{missing} is not accessible" if missing else "is not known"
        raise Refused(f"{item.key}: it cannot be recreated, because its lower device {reason}. Set lower_device")
    after = {**initial_attributes(current.kind, lower), **new.attributes}
    check(replace(case, before=None, after=after, changed=new.attributes, lower=lower))
    desired_peer = context.desired.get(attributes.peer) if attributes.peer is not None else None
    if desired_peer is None:
        yield CreateLink(current.key, current.kind, new.attributes)
    else:
        new_peer = Successor(desired_peer, dict(desired_peer.attributes))
        if former_peer is not None:
            new_peer = _successor(desired_peer, former_peer, state)
        new.lost += new_peer.lost
        yield from _create_pair(new, new_peer, state)
    for port in ports:
        detached = state.get(port.key)
        if detached is not None:
            settings = chosen_attributes(port, kind_of(port.kind).port)
            yield UpdateLink(detached, {"controller": current.key.name, **settings})
    yield from _restore(new)
    if new.lost:
        context.warn(f"{item.key}: recreated without {', '.join(new.lost)}")


def _create_pair(new: Successor, new_peer: Successor, state: State) -> Iterator[Operation]:
    at_creation = peer_creation_attributes(str(new.item.kind), new_peer.attributes)
    yield CreateLink(new.item.key, str(new.item.kind), new.attributes, peer_attributes=at_creation)
    peer = state.get(new_peer.item.key)
    rest = {name: value for name, value in new_peer.attributes.items() if name != "peer" and name not in at_creation}
    if peer is not None and rest:
        yield UpdateLink(peer, rest)
    yield from _restore(new_peer)


def _restore(new: Successor) -> Iterator[Operation]:
    if new.addresses or new.routes or new.neighbors:
        yield RestoreContents(new.item.key, new.addresses, new.routes, neighbors=new.neighbors)


@dataclass(frozen=True)
class FormerLink:
    """A link before its deletion, with all its contents, and those that can be written again."""

    link: Link
    contents: LinkContents
    restorable: LinkContents

    @classmethod
    def of(cls, link: Link, state: State) -> FormerLink:
        """A link of this state."""
        return cls(link, state.contents_of(link.key), restorable_contents(link.key, state))


@dataclass
class Successor:
    """A link that is created again.

    attributes: those that it is created with. addresses, routes, neighbors: those that are restored afterwards. lost: in
    words, what cannot be restored.
    """

    item: DesiredLink
    attributes: dict[str, object]
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    lost: list[str] = field(default_factory=list)


def _successor(item: DesiredLink, former: FormerLink, state: State) -> Successor:
    """The link that follows a deleted one; state: after the deletion."""
    restorable = former.restorable
    new = Successor(item, {}, restorable.addresses, restorable.routes, restorable.neighbors)
    _keep_attributes(new, former.link, state)
    _drop_shared_address(new, former.link)
    _drop_high_mtu(new, former.link, state)
    if "addresses" in item.attributes:
        _select_addresses(new)
    sysctls = {**former.restorable.sysctls, **item.sysctls}
    attributes = AttributeView(new.attributes)
    lower = state.get(attributes.lower_device)
    mtu = attributes.mtu or (lower.mtu if lower else None)
    if not has_ipv6(mtu):
        sysctls = _drop_ipv6(new, sysctls, mtu)
    if sysctls:
        new.attributes["sysctls"] = sysctls
    _drop_routes(new, state)
    _name_other_losses(new, former.contents)
    new.attributes = {row.name: new.attributes[row.name] for row in kind_of(former.link.kind).rows(new.attributes)}
    return new


def _keep_attributes(new: Successor, before: Link, state: State) -> None:
    """The desired attributes, and of the others those that were chosen for the link and still make sense."""
    desired = new.item.attributes
    lower = state.get(new.item.lower_device or before.lower_device)
    mode = desired.get("mode", before.mode)
    moves = "lower_device" in desired and desired["lower_device"] != before.lower_device
    kind = kind_of(before.kind)
    siblings = list(state.links_of_kinds(lower.key, kind.siblings)) if lower is not None and moves else []
    for row in kind.attributes:
        value = before.get(row.name)
        if row.per_lower_device and row.name in kind.needs:  # or creation would reset it on all siblings
            new.attributes[row.name] = next((link.get(row.name) for link in siblings), value)
            continue
        if value in (None, row.initial, row.usual) or row.derived or row.store is Store.SYSCTL or row.name in desired:
            continue
        if not row.is_accepted_in(mode) or (row.per_lower_device and moves):
            continue
        new.attributes[row.name] = value
    new.attributes.update(desired)


def _drop_shared_address(new: Successor, before: Link) -> None:
    """Drop a MAC address that is or was that of the lower device, and so was not chosen for the link."""
    modes = (new.item.mode or before.mode, before.mode)
    if "address" not in new.item.attributes and any(shares_address(kind_of(before.kind), {"mode": mode}) for mode in modes):
        new.attributes.pop("address", None)


def _drop_high_mtu(new: Successor, before: Link, state: State) -> None:
    """Drop an MTU above that of the new lower device, which bounds it."""
    mtu, lower = AttributeView(new.attributes).mtu, state.get(new.item.lower_device or before.lower_device)
    if "mtu" in new.item.attributes or mtu is None or lower is None or kind_of(before.kind).follows_mtu:
        return
    if lower.mtu is not None and mtu > lower.mtu:
        new.lost.append(f"mtu {mtu} (the lower device {lower.key} has {lower.mtu})")
        del new.attributes["mtu"]


def _select_addresses(new: Successor) -> None:
    """Of the static addresses only the desired ones, completed by what was known of them; all leased addresses."""
    desired = completed(new.addresses, AttributeView(new.attributes).addresses)
    new.attributes["addresses"] = tuple(as_added(address) for address in desired)
    identities = {identity(address) for address in desired}
    new.addresses = tuple(
        address for address in new.addresses if owner(address) != STATIC and identity(address) not in identities
    )


def _drop_ipv6(new: Successor, sysctls: dict[str, int], mtu: int | None) -> dict[str, int]:
    """Drop what a link without IPv6 cannot have, except for what the task sets, so that it is refused; the remaining sysctls."""
    desired = new.item.attributes
    if "address_generation_mode" not in desired:
        new.attributes.pop("address_generation_mode", None)
    new.lost += [f"{address} (an MTU of {mtu} removes IPv6)" for address in new.addresses if address.family == 6]
    new.addresses = tuple(address for address in new.addresses if address.family != 6)
    new.routes = tuple(route for route in new.routes if route.key.family != 6)
    new.neighbors = tuple(neighbor for neighbor in new.neighbors if neighbor.family != 6)
    kept = new.item.sysctls
    return {name: value for name, value in sysctls.items() if name in kept or not name.startswith("ipv6.")}


def _drop_routes(new: Successor, state: State) -> None:
    """Drop the routes that the kernel would refuse."""
    if new.attributes.get("admin_state") != "up":
        new.lost += [f"the {item} (the link is down)" for item in (*new.neighbors, *new.routes)]
        new.neighbors, new.routes = (), ()
    addresses = (*AttributeView(new.attributes).addresses, *new.addresses)
    restorable = tuple(route for route in new.routes if is_restorable(route, new.routes, addresses, state))
    new.lost += [f"the {route} (its address is removed)" for route in new.routes if route not in restorable]
    new.routes = restorable


def _name_other_losses(new: Successor, old: LinkContents) -> None:
    """Name what was not restorable from the beginning."""
    reason = "comes back with the next router advertisement"
    new.lost += [f"{address} ({reason})" for address in old.addresses if owner(address) == RA]
    new.lost += [f"the {route} ({reason})" for route in old.routes if route.protocol == RTPROT_RA]
    multipath = [route for route in old.routes if not route.is_representable and not is_kernel_made(route)]
    new.lost += [f"the {route} ({_obstacle(route)})" for route in multipath]
    new.lost += [f"the {other}" for other in old.others]


def _obstacle(route: Route) -> str:
    """What no operation can write of a route."""
    if route.nexthop_object is not None:
        return f"it uses nexthop object {route.nexthop_object}"
    return "more than one next hop" if len(route.hops) > 1 else "it has attributes that no option sets"
