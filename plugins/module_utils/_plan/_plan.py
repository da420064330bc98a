# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired state + current state -> Plan. Pure: no clock, no file, no kernel.

Each item is planned against the state as predicted so far, so that order, what is made earlier in the same task, and what
goes along with a deletion need no special path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    merge,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    LEFT_BEHIND,
    PHYSICAL,
    Link,
    LinkKey,
    Netns,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import (
    DAD_SECONDS,
    Announce,
    WaitForAddresses,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    DeleteLink,
    Rename,
    UpdateLink,
    peer_creation_attributes,
    side_effects_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._namespaces import CreateNetns, DeleteNetns
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import (
    check,
    check_itself,
    check_name,
    check_view,
    fixed_changes,
    link_missing,
    lower_missing,
    needs_recreate,
    warnings,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._dhcp import (
    awaited_lease,
    check_clients,
    doubts,
    ended,
    former_addresses,
    leased_address,
    leased_routes_and_rules,
    renamed,
    service,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._recreation import delete, initial, is_restorable, recreate
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routing import (
    is_kernel_made,
    ordered_routing,
    restore_prefsrc,
    routing_steps,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, STATIC, owner, steps


@dataclass(frozen=True)
class Plan:
    """What to do, in order, and what comes of it.

    before, after: the observed state and the predicted one; at_risk: links whose addresses and routes an operation takes
    along; warnings: sentences.
    """

    operations: tuple[Operation, ...]
    before: State
    after: State
    at_risk: frozenset[LinkKey]
    warnings: tuple[str, ...]


def plan(items: Sequence[Desired], state: State) -> Plan:
    """The operations that lead from the observed state to the wanted one; Refused or InvalidValue when there is no way."""
    merged = merge(items, describe_attribute)
    predicted = state.copy()
    operations: list[Operation] = []
    at_risk: set[LinkKey] = set()
    notes: dict[str, None] = {}  # in order, each once
    going: set[DesiredKey] = {item.key for item in merged if not item.present}
    coming = {item.key: item for item in merged if isinstance(item, DesiredLink) and item.present}
    spaces = [item for item in merged if isinstance(item, DesiredNetns)]
    old = {item.key.name for item in spaces if not item.present}
    going |= {link.key for link in state if link.key.netns in old}
    going |= {client.key.link for client in state.clients.values() if client.key.link.netns in old}  # if others deleted it before
    for item in merged:
        if not isinstance(item, DesiredNetns) and item.present and item.key.netns in old:
            raise InvalidValue(f"{item.key} is wanted in a namespace that is to be absent. Leave one of the two out")
    links = _ordered([item for item in merged if isinstance(item, DesiredLink)], state)
    check_clients(links, state)
    routing = [item for item in merged if isinstance(item, (DesiredRoute, DesiredRule))]
    old_routing, new_routing = ordered_routing([*routing, *leased_routes_and_rules(merged, going, state)], state)
    steps = [
        ended(links, going, state),
        *(_new_space(item, predicted) for item in spaces if item.present),
        *(routing_steps(item, predicted, going) for item in old_routing),
        *(_steps(item, predicted, going, coming, notes) for item in links),
        *(leased_address(item, state, predicted) for item in links if item.present),
        *(routing_steps(item, predicted, going) for item in new_routing),
        *(former_addresses(item, state, predicted) for item in links if item.present),
        *(service(item, state, predicted) for item in links if item.present),
        *(awaited_lease(item, predicted) for item in links if item.present),
        *(_old_space(item, predicted, going) for item in spaces if not item.present),
    ]
    for some in steps:  # each is asked for only after the one before was predicted
        for step in some:
            if isinstance(step, (CreateLink, UpdateLink, DeleteLink)):
                step = replace(step, side_effects=side_effects_of(step, predicted))
            operations.append(step)
            at_risk |= step.loses_contents_of(predicted)
            predicted.update(_as_written(predicted_changes(step, predicted), predicted, step, coming))
    _check_together(merged, predicted)
    notes.update(dict.fromkeys(doubts(links, predicted)))
    return Plan(tuple(operations), state, predicted, frozenset(at_risk), tuple(notes))


def _as_written(changes: Changes, state: State, step: Operation, coming: Mapping[LinkKey, DesiredLink]) -> Changes:
    """What one step makes uncertain on another wanted link stays as it was set: whether that is so, the verification tells."""
    found = dict(changes)
    for key, after in changes.items():
        before = state.get(key) if isinstance(key, LinkKey) and key != getattr(step, "key", None) else None
        if before is not None and after is not None and key in coming:
            sure = {name: before.get(name) for name in coming[key].attributes if after.get(name) is None}
            found[key] = after.with_attributes({name: value for name, value in sure.items() if value is not None})
    return found


def _new_space(item: DesiredNetns, state: State) -> Iterator[Operation]:
    space = state.namespaces.get(item.key)
    if space is not None and space.instead:
        yield _left_behind(space)
    if space is None or space.instead:
        yield CreateNetns(item.key)


def _left_behind(space: Netns) -> DeleteNetns:
    """Only what cannot be anybody's work is taken away."""
    if space.instead != LEFT_BEHIND:
        raise Refused(
            f"{space.key}: /run/netns/{space.key.name} is {space.instead} and no network namespace, so it is not deleted. "
            "Move it away first, or choose another name"
        )
    return DeleteNetns(space.key, left_behind=True)


def _old_space(item: DesiredNetns, state: State, going: Collection[DesiredKey]) -> Iterator[Operation]:
    """The links first, so that a failure later in the plan can bring them back."""
    space = state.namespaces.get(item.key)
    if space is None:
        return
    if space.instead:
        yield _left_behind(space)
        return
    if space.processes and not item.force:
        some = ", ".join(str(process) for process in space.processes[:5]) + (", ..." if len(space.processes) > 5 else "")
        raise Refused(
            f"{item.key}: processes live in it ({some}). End them first, or write force: true to take the name away all the "
            "same; they keep the namespace then"
        )
    inside = [link for link in state if link.key.netns == item.key.name and link.key.name != "lo"]
    if not space.processes:
        for link in inside:
            current = state.get(link.key)
            if current is not None and current.kind != PHYSICAL:
                yield delete(current, state, going, "", replaced=False)
    loopback = state.get(LinkKey(item.key.name, "lo"))
    yield DeleteNetns(item.key, loopback is not None and loopback.get("admin_state") == "up")


def _ordered(items: Sequence[DesiredLink], state: State) -> list[DesiredLink]:
    """What goes first, then what comes, each after what it refers to; otherwise as written."""
    coming = {item.key: item for item in items if item.present}
    sorter: TopologicalSorter[LinkKey] = TopologicalSorter()
    for key, item in coming.items():
        check_itself(item)
        current = state.get(key)
        needed = [item.attributes.get("lower_device") or (current.get("lower_device") if current else None)]
        if item.attributes.get("peer") and item.is_primary_end:
            sorter.add(item.attributes["peer"], key)
        if item.attributes.get("controller"):
            needed.append(LinkKey(key.netns, item.attributes["controller"]))
        sorter.add(key, *(other for other in needed if other is not None and other in coming))
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        raise InvalidValue(f"these links need each other: {' -> '.join(str(key) for key in error.args[1])}") from error
    return [item for item in items if not item.present] + [coming[key] for key in order]


def _steps(
    item: DesiredLink, state: State, going: Collection[DesiredKey], coming: Mapping[LinkKey, DesiredLink], notes: dict[str, None]
) -> Iterator[Operation]:
    """The operations for one item; each is predicted before the next is asked for."""
    yield from _renamed_ends(item, state)
    current = state.get(item.key)
    if current is not None and item.kind is not None and current.kind != item.kind:
        action = "changed" if item.present else "deleted"
        raise Refused(
            f"{item.key}: the link that has this name is {_a(current.kind)}, no {item.kind}, and is not {action}. "
            "Choose another name, or delete that link first"
        )
    if not item.present:
        if current is not None:
            yield delete(current, state, going, "", replaced=False)
        return
    if current is None and item.kind is None:
        raise link_missing(item.key, state)
    if current is None:
        check_name(item.key, state)
    else:
        check_view(item, current)
    item = _resolved(item, current, state)
    lower = state.get(item.attributes.get("lower_device") or (current.get("lower_device") if current else None))
    if lower is not None and item.policy.lower_device_state == "up" and lower.get("admin_state") == "down":
        yield UpdateLink(lower, {"admin_state": "up"})
        lower, current = state.get(lower.key), state.get(item.key)
    if lower is not None and item.policy.lower_device_state == "require" and lower.get("admin_state") == "down":
        raise Refused(
            f"{item.key}: its lower device {lower.key} is down, and lower_device_state: require wants it up. "
            "Bring it up first, or write lower_device_state: up"
        )

    changed = _changed(item, current)
    case = Situation(item, current, {**initial(item, current, lower), **item.attributes}, changed, lower, state, kind_of)
    for note in warnings(case):
        notes[note] = None
    if current is None:
        check(case)
        if item.attributes.get("peer"):
            yield _pair(item, coming)
        else:
            yield CreateLink(item.key, str(item.kind), item.attributes)
        yield from _made_known(item, None, state)
        return
    fixed = fixed_changes(case)
    if fixed and not item.policy.recreate:
        raise needs_recreate(item.key, fixed)
    if fixed:
        yield from recreate(item, current, case, state, going, coming, list(fixed), notes)
        yield from _made_known(item, None, state)
        return
    if changed:
        check(case)
        routes = state.routes_through(item.key)
        yield UpdateLink(current, _with_flush(current, changed))
        # What the kernel resets along the way (IPv6 settings when the MTU comes above 1280) is set once more.
        again = state.get(item.key)
        left = _changed(item, again)
        if again is not None and left:
            yield UpdateLink(again, left)
        back = _interrupted_routes(routes, state.get(item.key), state)
        if back:
            yield RestoreContents(item.key, routes=back)
        yield from restore_prefsrc(routes, state)
        yield from _made_known(item, current, state)


def _interrupted_routes(routes: Sequence[Route], link: Link | None, state: State) -> tuple[Route, ...]:
    """The routes that go while an address goes and comes again, and for which all is there again afterwards."""
    addresses = (link.get("addresses") or ()) if link is not None and link.get("admin_state") == "up" else ()
    families = {address.family for address in addresses}
    gone = [
        route
        for route in routes
        if route.plain and not is_kernel_made(route) and route.key not in state.routes and route.key.family in families
    ]
    return tuple(route for route in gone if is_restorable(route, gone, addresses, state))


def _made_known(item: DesiredLink, before: Link | None, state: State) -> Iterator[Operation]:
    """Wait for the addresses that are new, and announce them: those of a link with a new MAC, or that was down, are all new."""
    link = state.get(item.key)
    announce = item.policy.announce and link is not None and link.ethernet  # elsewhere nobody asks who has an address
    if link is None or link.get("admin_state") != "up" or not (announce or item.policy.wait_dad):
        return
    all_new = before is None or any(before.get(name) != link.get(name) for name in ("admin_state", "address"))
    old = () if all_new or before is None else before.get("addresses") or ()
    found = steps(old, tuple(one for one in link.get("addresses") or () if owner(one) == STATIC))
    new = [*found.add, *(again for _old, again in found.again)]
    checked = tuple(address.ip for address in new if address.family == 6 and not address.flags & NODAD)
    if checked:
        yield WaitForAddresses(item.key, checked, item.policy.wait_dad or DAD_SECONDS)
    if announce and new:
        yield Announce(item.key, tuple(address.ip for address in new))


def _renamed_ends(item: DesiredLink, state: State) -> Iterator[Operation]:
    """A pair is found by either of its ends: one that has another name where the wanted one is to be gets the wanted name."""
    peer = item.attributes.get("peer")
    if not peer:
        return
    for one, other in ((item.key, peer), (peer, item.key)):
        there = state.get(one)
        end = there.get("peer") if there is not None and there.kind == "veth" else None
        link = state.get(end)
        if link is not None and end is not None and end != other and end.netns == other.netns and state.get(other) is None:
            check_name(other, state)
            yield from renamed(link.key, other, [Rename(link, other.name)], state)


def _pair(item: DesiredLink, coming: Mapping[LinkKey, DesiredLink]) -> CreateLink:
    """Both ends in one request; what the second one gets besides, its own entry says."""
    peer = coming[item.attributes["peer"]]
    return CreateLink(
        item.key, str(item.kind), item.attributes, peer_attributes=peer_creation_attributes(str(item.kind), peer.attributes)
    )


def _resolved(item: DesiredLink, current: Link | None, state: State) -> DesiredLink:
    """The item with the lower device that the kernel will report: a macvlan on a macvlan sits on the device below both."""
    missing = [name for name in kind_of(item.kind or "").needs if item.attributes.get(name) is None]
    if current is None and missing:
        hint = ", with its name" if missing[0] == "peer" else ""
        raise Refused(f"{item.key}: it does not exist, and {missing[0]} is needed to create it{hint}")
    written = item.attributes.get("lower_device")
    if written is None:
        return item
    if state.get(written) is None:
        raise lower_missing(item.key, written, state)
    siblings = kind_of(item.kind or "").siblings
    return replace(item, attributes={**item.attributes, "lower_device": state.effective_lower_device(written, siblings)})


def _changed(item: DesiredLink, current: Link | None) -> dict[str, Any]:
    """The written attributes that are not so yet."""
    if current is None:
        return dict(item.attributes)
    found = {}
    for row in kind_of(current.kind).rows(item.attributes):
        difference = row.type.difference(current.get(row.name), item.attributes[row.name])
        if difference:
            found[row.name] = difference[1]
    return found


def _with_flush(current: Link, changed: dict[str, Any]) -> dict[str, Any]:
    """Leaving source mode empties the list of source addresses: that is part of the change, and of its inverse."""
    if changed.get("mode", SOURCE) != SOURCE and current.get("source_addresses"):
        return {**changed, "source_addresses": ()}
    return changed


def _check_together(items: Sequence[Desired], predicted: State) -> None:
    """Refuse wishes that undo each other: the second plan would never be empty."""
    for item in items:
        link = predicted.get(item.key) if isinstance(item.key, LinkKey) else None
        if not item.present or link is None:
            continue
        for row in kind_of(link.kind).rows(item.attributes):
            now, value = link.get(row.name), item.attributes[row.name]
            if row.name == "lower_device" or now is None or row.type.difference(now, value) is None:
                continue
            shared = f": {row.name} belongs to the lower device {link.get('lower_device')}" if row.per_lower_device else ""
            raise Refused(
                f"{item.key}: {row.name} {row.type.describe(value)} contradicts another entry of the same task, "
                f"which makes it {row.type.describe(now)}{shared}. Write one value"
            )


def _a(kind: str) -> str:
    if kind == PHYSICAL:
        return "a physical link"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
