# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of planning that is about links that go: deleted, or created again with all that was on them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredKey, DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import inside, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import IPV6_MINIMUM_MTU
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Attributes, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RTPROT_RA, Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    DeleteLink,
    UpdateLink,
    chosen_attributes,
    peer_creation_attributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import check
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._dhcp import paused
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routing import is_kernel_made
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DHCP,
    RA,
    STATIC,
    completed,
    covers,
    identity,
    made_anew,
    owner,
)


def delete(link: Link, state: State, going: Collection[DesiredKey], why: str, replaced: bool) -> DeleteLink:
    """Delete a link with what goes along; Refused when that is more than what the task names."""
    plain = DeleteLink(link)
    along = [state.get(key) for key, after in plain.predict(state).items() if after is None and key != link.key]
    expected = {*going, link.get("peer")}
    strangers = sorted(str(other.key) for other in along if other is not None and other.key not in expected)
    if strangers:
        action = "recreated" if replaced else "deleted"
        sit = "sits" if len(strangers) == 1 else "sit"
        raise Refused(
            f"{link.key}: {', '.join(strangers)} {sit} on it and would be deleted along with it, "
            f"so it is not {action}. "
            f"{'Delete that first' if replaced else 'Name what sits on it in the same task, or delete that first'}"
        )
    return DeleteLink(
        link,
        _writable(link.key, state.contents_of(link.key), state),
        tuple((other, _writable(other.key, state.contents_of(other.key), state)) for other in along if other is not None),
        why,
    )


def recreate(
    item: DesiredLink,
    current: Link,
    case: Situation,
    state: State,
    going: Collection[DesiredKey],
    coming: Mapping[LinkKey, DesiredLink],
    reasons: list[str],
    notes: dict[str, None],
) -> Iterator[Operation]:
    """Delete and create, with everything on it that the kernel lets us put back; sentences say what it does not."""
    peer = state.get(current.get("peer"))
    ports = state.attached_to(current.key)
    old, old_there = state.contents_of(current.key), state.contents_of(peer.key) if peer else LinkContents()
    deletion = delete(current, state, going, f" (to be created again: {', '.join(reasons)})", replaced=True)
    yield from paused([current, *(link for link, _carried in deletion.cascaded)], state)
    yield deletion
    attributes, back, lost = _restorable_state(item, current, old, state)
    lower = state.get(attributes.get("lower_device"))
    if lower is None and "lower_device" in kind_of(current.kind).needs:
        place = attributes.get("lower_device") or "it is not known"
        raise Refused(
            f"{item.key}: it cannot be created again, for its lower device is out of reach: {place}. Write lower_device"
        )
    after = {**initial(item, None, lower), **attributes}
    check(replace(case, before=None, after=after, changed=attributes, lower=lower))
    other = coming.get(attributes["peer"]) if "peer" in attributes else None
    if other is None:
        yield CreateLink(current.key, current.kind, attributes)
    else:
        second, back_there = dict(other.attributes), LinkContents()
        lost_there: list[str] = []
        if peer is not None:
            second, back_there, lost_there = _restorable_state(other, peer, old_there, state)
        lost += lost_there
        taken = peer_creation_attributes(current.kind, second)
        yield CreateLink(current.key, current.kind, attributes, peer_attributes=taken)
        end = state.get(other.key)
        rest = {name: value for name, value in second.items() if name != "peer" and name not in taken}
        if end is not None and rest:
            yield UpdateLink(end, rest)
        if back_there.addresses or back_there.routes:
            yield RestoreContents(other.key, back_there.addresses, back_there.routes)
    for port in ports:
        freed = state.get(port.key)
        if freed is not None:
            yield UpdateLink(freed, {"controller": current.key.name, **chosen_attributes(port, kind_of(port.kind).port)})
    if back.addresses or back.routes:
        yield RestoreContents(current.key, back.addresses, back.routes)
    if lost:
        notes[f"{item.key}: created again, it does not keep {', '.join(lost)}"] = None


def _restorable_state(
    item: DesiredLink, current: Link, old: LinkContents, state: State
) -> tuple[dict[str, Any], LinkContents, list[str]]:
    """What a link that comes again is to have: attributes, what lives on it, and sentences for what cannot be put back."""
    back = _writable(current.key, old, state)
    kept, lost = _kept(item, current, state)
    attributes = {**kept, **item.attributes}
    if "addresses" in attributes:  # of the static ones, only those that are wanted
        attributes["addresses"] = tuple(made_anew(one) for one in completed(back.addresses, attributes["addresses"]))
        wanted = {identity(address) for address in attributes["addresses"]}
        others = tuple(one for one in back.addresses if owner(one) != STATIC and identity(one) not in wanted)
        back = replace(back, addresses=others)
    settings = {**back.sysctls, **item.attributes.get("sysctls", {})}
    lower = state.get(attributes.get("lower_device"))
    mtu = attributes.get("mtu") or (lower.get("mtu") if lower else None) or IPV6_MINIMUM_MTU
    if mtu < IPV6_MINIMUM_MTU:
        written = item.attributes.get("sysctls", {})
        settings = {name: value for name, value in settings.items() if name in written or not name.startswith("ipv6.")}
        if "address_generation_mode" not in item.attributes:
            attributes.pop("address_generation_mode", None)
        lost += [f"{one} (an MTU of {mtu} takes IPv6 off the link)" for one in back.addresses if one.family == 6]
        back = replace(
            back,
            addresses=tuple(address for address in back.addresses if address.family != 6),
            routes=tuple(route for route in back.routes if route.key.family != 6),
        )
    if attributes.get("admin_state") != "up":
        lost += [f"the {route} (the link is down)" for route in back.routes]
        back = replace(back, routes=())
    there = (*attributes.get("addresses", ()), *back.addresses)
    standing = tuple(route for route in back.routes if is_restorable(route, back.routes, there, state))
    lost += [f"the {route} (its address goes)" for route in back.routes if route not in standing]
    back = replace(back, routes=standing)
    if settings:
        attributes["sysctls"] = settings
    again = "comes back with the next router advertisement"
    lost += [f"{address} ({again})" for address in old.addresses if owner(address) == RA]
    lost += [f"the {route} ({again})" for route in old.routes if route.protocol == RTPROT_RA]
    lost += [f"the {route} (more than one next hop)" for route in old.routes if not route.plain and not is_kernel_made(route)]
    return {row.name: attributes[row.name] for row in kind_of(current.kind).rows(attributes)}, back, lost


def _kept(item: DesiredLink, before: Link, state: State) -> tuple[dict[str, Any], list[str]]:
    """The attributes that a link created again keeps beside those that were written, and sentences for what it cannot."""
    lower = state.get(item.attributes.get("lower_device") or before.get("lower_device"))
    mode = item.attributes.get("mode", before.get("mode"))
    moved = "lower_device" in item.attributes and item.attributes["lower_device"] != before.get("lower_device")
    kept: dict[str, Any] = {}
    lost: list[str] = []
    for row in kind_of(before.kind).attributes:
        value = before.get(row.name)
        if value in (None, row.initial, row.usual) or row.derived or row.store is Store.SYSCTL or row.name in item.attributes:
            continue
        if row.name == "address" and PASSTHRU in (mode, before.get("mode")):
            continue  # the MAC of a passthru link is that of its lower device
        if row.name == "source_addresses" and mode != SOURCE:
            continue
        if row.per_lower_device and moved:
            continue
        if row.name == "mtu" and lower is not None and (lower.get("mtu") or value) < value:
            lost.append(f"mtu {value} (the lower device {lower.key} has {lower.get('mtu')})")
            continue
        kept[row.name] = value
    return kept, lost


def _writable(key: LinkKey, carried: LinkContents, state: State) -> LinkContents:
    """What lived on a link, as far as it can be written again."""
    addresses = tuple(address for address in carried.addresses if owner(address) in (STATIC, DHCP))
    routes = tuple(route for route in carried.routes if route.plain and not is_kernel_made(route))
    defaults = {name: value for (netns, which, name), value in state.sysctls.items() if (netns, which) == (key.netns, "default")}
    settings = {name: value for name, value in carried.sysctls.items() if defaults.get(name) != value}
    return LinkContents(addresses, routes, settings)


def is_restorable(route: Route, along: Sequence[Route], addresses: Sequence[Address], state: State) -> bool:
    """Whether the kernel would take a route by a link that has these addresses, together with the others that come again."""
    gateway, source = route.get("gateway"), route.get("source")
    if source and source not in {address.ip for address in addresses} and not state.links_with_ip(route.key.netns, source):
        return False
    direct = [other.key.destination for other in along if not other.get("gateway")]
    return (
        gateway is None
        or bool(route.get("onlink"))
        or is_link_local(gateway)
        or covers(tuple(addresses), gateway)
        or any(inside(gateway, destination) for destination in direct)
    )


def initial(item: DesiredLink, current: Link | None, lower: Link | None) -> Attributes:
    """What the written attributes come on top of: those of the link as it is, or of a new one."""
    if current is not None:
        return current.attributes
    found = {row.name: row.initial for row in kind_of(item.kind or "").attributes if row.initial is not None}
    return {**found, "mtu": lower.get("mtu") if lower else None}
