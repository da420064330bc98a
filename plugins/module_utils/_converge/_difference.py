# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a state lacks of an earlier one: as operations that restore it, and as sentences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    RTPROT_KERNEL,
    Route,
    RouteKey,
    Rule,
    RulePriority,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import CreateRule, SetRoute
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import (
    is_kernel_made,
    must_be_restored,
    restore_prefsrc,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._rules import rule_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DHCP,
    KERNEL,
    STATIC,
    identity,
    misplaced,
    owner,
)

_Key = TypeVar("_Key", RouteKey, RulePriority)


def restoring_operations(before: State, now: State) -> list[Operation]:
    """The operations that restore lost contents of existing links, and routes and rules that belong to no link."""
    routes = [route for same_key in before.routes.values() for route in same_key]
    return [
        *_lost_contents(before, now),
        *_misplaced_addresses(before, now),
        *_lost_routing(before, now),
        *restore_prefsrc(routes, now),
    ]


def _lost_contents(before: State, now: State) -> Iterator[Operation]:
    """Addresses, routes and settings of links that exist."""
    for link in before:
        old, new = before.contents_of(link.key), now.contents_of(link.key)
        present = {identity(address) for address in new.addresses}
        restore = RestoreContents(
            link.key,
            tuple(address for address in old.addresses if identity(address) not in present and owner(address) in (STATIC, DHCP)),
            tuple(route for route in old.routes if must_be_restored(route) and route not in new.routes),
            {name: value for name, value in old.sysctls.items() if new.sysctls.get(name) != value},
            neighbors=tuple(neighbor for neighbor in old.neighbors if neighbor not in new.neighbors),
        )
        if now.get(link.key) is not None and restore.requests():
            yield restore


def _misplaced_addresses(before: State, now: State) -> Iterator[Operation]:
    """Addresses that are present, but no longer in their order."""
    for link in before:
        addresses = misplaced(link.addresses, now.contents_of(link.key).addresses)
        if addresses:
            yield RestoreContents(link.key, readd=tuple(addresses))


def _lost_routing(before: State, now: State) -> Iterator[Operation]:
    """Rules in their order, and routes that leave by no link: they go with their namespace."""
    for route_key, routes in before.routes.items():
        present = now.routes.get(route_key, ())
        yield from (SetRoute(route) for route in routes if not route.links and must_be_restored(route) and route not in present)
    for priority, rules in before.rules.items():
        current = now.rules.get(priority, ())
        former = [rule for rule in rules if rule in current or _is_restorable(rule)]
        changes = rule_changes(current, [*former, *(rule for rule in current if rule not in former)])
        if all(_is_restorable(change.rule) for change in changes):
            yield from changes
        else:  # a rule that could not be created again keeps the others from their order
            yield from (CreateRule(rule, current) for rule in former if rule not in current)


def _is_restorable(rule: Rule) -> bool:
    return rule.is_representable and rule.protocol != RTPROT_KERNEL


def differences(before: State, now: State, touched: Collection[LinkKey]) -> list[str]:
    """Sentences for what differs: namespaces, the touched links, and the routes and rules of all namespaces that were read."""
    return [
        *_presence({str(space) for space in before.namespaces.values()}, {str(space) for space in now.namespaces.values()}),
        *(sentence for key in sorted(touched) for sentence in _link_differences(before, now, key)),
        *_routing_differences(_lasting_routes(before), _lasting_routes(now)),
        *_routing_differences(before.rules, now.rules),
    ]


def _link_differences(before: State, now: State, key: LinkKey) -> Iterator[str]:
    old, new = before.get(key), now.get(key)
    if old is None or new is None:
        yield from _presence({str(key)} if old else (), {str(key)} if new else ())
        return
    if old.kind != new.kind:
        yield f"{key}: kind is {new.kind} (was {old.kind})"
        return
    for row in kind_of(old.kind).attributes:
        was, value = old.get(row.name), new.get(row.name)
        if was not in (None, {}) and not row.derived and row.type.difference(value, was):
            present = "unknown" if value is None else row.type.describe(value)
            yield f"{key}: {row.name} is {present} (was {row.type.describe(was)})"
    contents, left = before.contents_of(key), now.contents_of(key)
    addresses_before, addresses_now = (
        [f"{address} on {key}" for address in side.addresses if owner(address) != KERNEL] for side in (contents, left)
    )
    yield from _presence(addresses_before, addresses_now if old.get("addresses") is not None else addresses_before)
    yield from (
        f"{address} on {key} is in another position than before" for address in misplaced(contents.addresses, left.addresses)
    )
    yield from _presence(*([f"{item} of {key}" for item in (*side.neighbors, *side.others)] for side in (contents, left)))
    for name, value in contents.sysctls.items():
        if left.sysctls.get(name) != value:
            yield f"{key}: {name} is {left.sysctls.get(name, 'unknown')} (was {value})"


def _presence(before: Collection[str], now: Collection[str]) -> Iterator[str]:
    yield from (f"{name} is absent (was present)" for name in sorted(before) if name not in now)
    yield from (f"{name} is present (was absent)" for name in sorted(now) if name not in before)


def _lasting_routes(state: State) -> dict[RouteKey, tuple[Route, ...]]:
    """Without those that the kernel makes by itself."""
    lasting = {key: tuple(route for route in routes if not is_kernel_made(route)) for key, routes in state.routes.items()}
    return {key: routes for key, routes in lasting.items() if routes}


def _routing_differences(before: Mapping[_Key, Sequence[object]], now: Mapping[_Key, Sequence[object]]) -> Iterator[str]:
    yield from (f"{key} is absent (was present)" for key in before if key not in now)
    yield from (f"{key} is present (was absent)" for key in now if key not in before)
    for key, objects in before.items():
        if key in now and not (len(objects) == len(now[key]) and all(item in now[key] for item in objects)):
            yield f"{key} differs from before"
