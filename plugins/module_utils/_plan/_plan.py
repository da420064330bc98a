# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired state + current state -> Plan. Pure: no clock, no file, no kernel.

Each operation is planned against the state as predicted after the operations before it. So what an earlier operation creates,
changes or deletes needs no special case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    DeleteLink,
    UpdateLink,
    side_effects_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan import _dhcp
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._advice import advice
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import option_warnings, unreadable_sentence
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context, prepare
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._links import plan_link, release_address
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._namespaces import (
    create_namespace,
    delete_namespace,
    empty_namespace,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._restoration import Losses
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import plan_route
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._rules import plan_rule


@dataclass(frozen=True)
class Plan:
    """The operations, in order, and their result.

    before, after: the state as observed and as predicted. at_risk: the links that lose addresses, routes or settings.
    neighbors_at_risk: those that lose permanent neighbors. warnings: sentences for the user.
    """

    operations: tuple[Operation, ...]
    before: State
    after: State
    at_risk: frozenset[LinkKey]
    neighbors_at_risk: frozenset[LinkKey]
    warnings: tuple[str, ...]


def plan(items: Sequence[Desired], state: State) -> Plan:
    """The operations that lead from the observed state to the desired one; Refused or InvalidValue if no plan is possible."""
    context = prepare(items, state)
    predicted = context.predicted
    operations: list[Operation] = []
    at_risk: set[LinkKey] = set()
    neighbors_at_risk: set[LinkKey] = set()
    losses = Losses(context.desired, context.removed, predicted)
    for operation in chain.from_iterable(phase(context) for phase in PHASES):  # lazy: one operation is predicted before the next
        if isinstance(operation, (CreateLink, UpdateLink, DeleteLink)):
            operation = replace(operation, side_effects=side_effects_of(operation, predicted))
        operations.append(operation)
        losing, moving = operation.loses_contents_of(predicted), operation.loses_only_neighbors_of(predicted)
        at_risk |= losing
        neighbors_at_risk |= losing | moving
        losses.expect(operation, losing, losing | moving)
        changes = _assume_kept(predicted_changes(operation, predicted), operation, context)
        predicted.update(changes)
        for restoration in losses.restore([key for key in changes if isinstance(key, LinkKey)]):
            operations.append(restoration)
            predicted.update(predicted_changes(restoration, predicted))
    _check_contradictions(context)
    if state.unreadable:
        context.warn(f"{unreadable_sentence(state.unreadable)} A real run fails if the task affects links in them")
    for sentence in (sentence for case in context.situations for sentence in option_warnings(case)):
        context.warn(sentence)
    for sentence in advice(context):
        context.warn(sentence)
    for sentence in (*_dhcp.client_warnings(context.links, predicted), *losses.warnings()):
        context.warn(sentence)
    return Plan(tuple(operations), state, predicted, frozenset(at_risk), frozenset(neighbors_at_risk), context.warnings)


def _stop_clients(context: Context) -> Iterator[Operation]:
    yield from _dhcp.stop_clients(context.links, context.removed, context.current)


def _create_namespaces(context: Context) -> Iterator[Operation]:
    for item in context.namespaces:
        if item.present:
            yield from create_namespace(item, context)


def _empty_namespaces(context: Context) -> Iterator[Operation]:
    for item in context.namespaces:
        if not item.present:
            yield from empty_namespace(item, context)


def _remove_routing(context: Context) -> Iterator[Operation]:
    yield from _plan_routing(context.removed_routing, context)


def _delete_links(context: Context) -> Iterator[Operation]:
    for item in context.links:
        if not item.present:
            yield from plan_link(item, context)


def _change_links(context: Context) -> Iterator[Operation]:
    for key in context.exchanged:
        yield from release_address(key, context)
    for item in context.present_links:
        yield from plan_link(item, context)


def _add_leased_addresses(context: Context) -> Iterator[Operation]:
    for item in context.present_links:
        yield from _dhcp.add_leased_address(item, context.current, context.predicted)


def _set_routing(context: Context) -> Iterator[Operation]:
    yield from _plan_routing(context.desired_routing, context)


def _plan_routing(items: Sequence[DesiredRoute | DesiredRule], context: Context) -> Iterator[Operation]:
    for item in items:
        if isinstance(item, DesiredRule):
            yield from plan_rule(item, context.predicted)
        else:
            yield from plan_route(item, context)


def _remove_former_addresses(context: Context) -> Iterator[Operation]:
    for item in context.present_links:
        yield from _dhcp.remove_former_addresses(item, context.current, context.predicted)


def _start_clients(context: Context) -> Iterator[Operation]:
    for item in context.present_links:
        yield from _dhcp.start_client(item, context.current, context.predicted)


def _wait_for_leases(context: Context) -> Iterator[Operation]:
    for item in context.present_links:
        yield from _dhcp.wait_for_lease(item, context.predicted)


def _delete_namespaces(context: Context) -> Iterator[Operation]:
    for item in context.namespaces:
        if not item.present:
            yield from delete_namespace(item, context)


Phase = Callable[[Context], Iterator[Operation]]

# A failed plan is rolled back in reverse order, so that what is removed first comes back last.
PHASES: tuple[Phase, ...] = (
    # First, because a client that is running would set addresses and routes that no operation of the plan knows of.
    _stop_clients,
    # Before the links that are created in them.
    _create_namespaces,
    # Before the links, because the kernel would remove routes together with their links and addresses: now each removal is an
    # operation of its own, whose inverse finds the link in place.
    _remove_routing,
    # Before the links that take over what the deleted ones hold, such as a lower device.
    _delete_links,
    _empty_namespaces,
    # Each after the links that it refers to.
    _change_links,
    # On existing links, and before the routes that have them as their source.
    _add_leased_addresses,
    # When links and addresses exist, and sources and gateways can be checked.
    _set_routing,
    # After the routes: those that had such an address as their source use another one now, or are gone.
    _remove_former_addresses,
    # On complete links: a client asks as soon as it is started.
    _start_clients,
    # After all clients are started, so that they ask at the same time.
    _wait_for_leases,
    # Last, because the deletion of a namespace cannot be rolled back completely, so that nothing may fail after it.
    _delete_namespaces,
)


def _assume_kept(changes: Changes, operation: Operation, context: Context) -> Changes:
    """What an operation makes uncertain on another desired link is assumed to stay as it is set; the verification will tell."""
    assumed = dict(changes)
    for key, after in changes.items():
        is_other_link = isinstance(key, LinkKey) and key != getattr(operation, "key", None)
        before = context.predicted.get(key) if is_other_link else None
        if before is not None and after is not None and key in context.desired:
            kept = {name: before.get(name) for name in context.desired[key].attributes if after.get(name) is None}
            assumed[key] = after.with_attributes({name: value for name, value in kept.items() if value is not None})
    return assumed


def _check_contradictions(context: Context) -> None:
    """Raise Refused where two entries set different values: a plan could never satisfy both, and would never become empty."""
    for item in context.present_links:
        link = context.predicted.get(item.key)
        if link is None:
            continue
        for row in kind_of(link.kind).rows(item.attributes):
            predicted, desired = link.get(row.name), item.attributes[row.name]
            if row.store is Store.LOWER_DEVICE or predicted is None or row.type.difference(predicted, desired) is None:
                continue
            shared = f", and all links on {link.get('lower_device')} share it" if row.per_lower_device else ""
            raise Refused(
                f"{item.key}: {row.name} {row.type.describe(desired)} contradicts another entry of the same task, "
                f"which sets it to {row.type.describe(predicted)}{shared}. Set one value only"
            )
