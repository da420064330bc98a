# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations for one link."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import PHYSICAL, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._cascades import is_taken_down
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    Rename,
    UpdateLink,
    initial_attributes,
    peer_creation_attributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._announcements import announce_addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import (
    check,
    check_name,
    check_view,
    fixed_changes,
    link_missing,
    lower_missing,
    needs_recreate,
    warnings,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._deletion import delete
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._dhcp import rename_with_client
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._recreation import recreate
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._restoration import interrupted_routes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import restore_prefsrc


def plan_link(item: DesiredLink, context: Context) -> Iterator[Operation]:
    """Delete, create, change or recreate a link; no operation where it is as desired."""
    state = context.predicted
    yield from _rename_ends(item, state)
    current = state.get(item.key)
    if current is None and not item.is_required:
        return
    _check_identity(item, current, state)
    if not item.present:
        if current is not None:
            yield delete(current, context)
        return
    item = _with_lower_device(item, current, state)
    lower = _lower_device(item, current, state)
    if lower is not None and lower.admin_state == "down":
        if item.policy.lower_device_state == "require":
            raise Missing(
                f"{item.key}: its lower device {lower.key} is down, but lower_device_state is require",
                "Bring it up first, or set lower_device_state: up",
            )
        if item.policy.lower_device_state == "up":
            yield UpdateLink(lower, {"admin_state": "up"})
            lower, current = state.get(lower.key), state.get(item.key)
    before = initial_attributes(str(item.kind), lower) if current is None else current.attributes
    case = Situation(item, current, {**before, **item.attributes}, _changed_attributes(item, current), lower, state, kind_of)
    context.situations.append(case)
    for sentence in warnings(case):
        context.warn(sentence)
    if current is None:
        yield from _create(case, context)
        yield from announce_addresses(item, None, state)
    elif case.changed:
        fixed = fixed_changes(case)
        if fixed and not item.policy.recreate:
            raise needs_recreate(item.key, fixed)
        yield from recreate(case, current, fixed, context) if fixed else _change(case, current)
        yield from announce_addresses(item, None if fixed else current, state)


def release_address(key: LinkKey, context: Context) -> Iterator[Operation]:
    """Give a link a temporary MAC address, so that another one on its lower device can have its own."""
    link = context.predicted.get(key)
    if link is not None and link.lower_device is not None:
        yield UpdateLink(link, {"address": _unused_address(link.lower_device, context.predicted)})


def _unused_address(lower: LinkKey, state: State) -> str:
    """A locally administered MAC address that no link on a lower device has."""
    candidates = (":".join(f"{byte:02x}" for byte in (0x02, *number.to_bytes(5, "big"))) for number in itertools.count(1))
    return next(address for address in candidates if not state.links_with_mac(lower, address))


def _check_identity(item: DesiredLink, current: Link | None, state: State) -> None:
    """Raise Refused where the link with this name is not the one that the task is about, or does not exist and cannot."""
    if current is not None and item.kind is not None and current.kind != item.kind:
        action = "changed" if item.present else "deleted"
        raise Refused(
            f"{item.key}: the link with this name is {_with_article(current.kind)}, not {_with_article(item.kind)}, "
            f"and is not {action}. Choose another name, or delete that link first"
        )
    if not item.present:
        return
    if current is not None:
        check_view(item, current)
    elif item.kind is None:
        raise link_missing(item.key, state)
    else:
        check_name(item.key, state)


def _with_article(kind: str) -> str:
    if kind == PHYSICAL:
        return "a physical link"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _with_lower_device(item: DesiredLink, current: Link | None, state: State) -> DesiredLink:
    """The item with the lower device that the kernel will report: a macvlan on a macvlan sits on the device below both."""
    missing = [name for name in kind_of(item.kind or "").needs if item.attributes.get(name) is None]
    if current is None and missing:
        option = "peer.name" if missing[0] == "peer" else missing[0]
        raise Missing(f"{item.key}: the link does not exist, and {option} is required to create it", f"Set {option}")
    lower = item.lower_device
    if lower is None:
        return item
    if state.get(lower) is None:
        raise lower_missing(item.key, lower, state)
    siblings = kind_of(item.kind or "").siblings
    effective = state.effective_lower_device(lower, siblings)
    return item if effective == lower else replace(item, attributes={**item.attributes, "lower_device": effective})


def _lower_device(item: DesiredLink, current: Link | None, state: State) -> Link | None:
    return state.get(item.lower_device or (current.lower_device if current else None))


def _changed_attributes(item: DesiredLink, current: Link | None) -> dict[str, object]:
    """The desired attributes that the link does not have yet."""
    if current is None:
        return dict(item.attributes)
    changed = {}
    for row in kind_of(current.kind).rows(item.attributes):
        difference = row.type.difference(current.get(row.name), item.attributes[row.name])
        if difference:
            changed[row.name] = difference[1]
    return changed


def _create(case: Situation, context: Context) -> Iterator[Operation]:
    check(case)
    item, kind = case.desired, case.kind_name
    peer = context.desired[item.peer] if item.peer else None
    # One request creates both ends; the attributes of the other end that it cannot set follow when that end is planned.
    peer_attributes = None if peer is None else peer_creation_attributes(kind, peer.attributes)
    yield CreateLink(item.key, kind, item.attributes, peer_attributes=peer_attributes)


def _change(case: Situation, current: Link) -> Iterator[Operation]:
    check(case)
    item, state = case.desired, case.state
    routes = state.routes_through(item.key)
    # Named here, what the kernel resets is part of the sentence and of the inverse.
    down = {"admin_state": "down"} if is_taken_down(current, case.changed, state) else {}
    yield UpdateLink(current, {**down, **case.changed, **case.kind.reset_by_mode(current.attributes, case.changed)})
    # The kernel resets some attributes while it changes others, such as IPv6 settings when the MTU rises above 1280.
    link = state.get(item.key)
    reset = _changed_attributes(item, link)
    if link is not None and reset:
        yield UpdateLink(link, reset)
    interrupted = interrupted_routes(routes, state.get(item.key), state)
    if interrupted:
        yield RestoreContents(item.key, routes=interrupted)
    yield from restore_prefsrc(routes, state)


def _rename_ends(item: DesiredLink, state: State) -> Iterator[Operation]:
    """A veth pair is found by either end: if one end has its desired name and the other has not, that is renamed."""
    peer = item.peer
    if not peer:
        return
    for found, missing in ((item.key, peer), (peer, item.key)):
        link = state.get(found)
        other = state.get(link.peer) if link is not None and kind_of(link.kind).has_peer else None
        if other is not None and other.key != missing and other.key.netns == missing.netns and state.get(missing) is None:
            check_name(missing, state)
            restarts = other.admin_state == "up" and not state.renames_while_up
            if restarts:
                yield UpdateLink(other, {"admin_state": "down"})
                other = state.get(other.key) or other
            yield from rename_with_client(other.key, missing, [Rename(other, missing.name)], state)
            renamed = state.get(missing)
            if restarts and renamed is not None:
                yield UpdateLink(renamed, {"admin_state": "up"})
