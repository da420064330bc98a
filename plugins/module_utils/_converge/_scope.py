# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the host is observed: all rules, in one place. Pure.

Observing starts with what the desired state names. A plan may show that its operations affect more: then the scope is widened
and the plan is made again, until it is complete (see _converge.py). A scope only grows, so this ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    needs_namespace,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import DISABLE_IPV6
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._plan import Plan


def initial_scope(desired: Sequence[Desired], links_with_client: Collection[LinkKey]) -> Scope:
    """What the desired state names: its links, their lower devices and peers; addresses and routes only where it is about them.

    links_with_client: the links that have a DHCP client, whose lease is addresses and routes.
    """
    desired_links = [item for item in desired if isinstance(item, DesiredLink)]
    links = {item.key for item in desired_links}
    links |= {key for item in desired_links for key in (item.lower_device, item.peer) if key is not None}
    sysctls = {item.key: frozenset(item.sysctls) for item in desired_links if item.sysctls}
    for item in desired_links:
        if any(address.family == 6 for address in item.addresses):
            sysctls[item.key] = sysctls.get(item.key, frozenset()) | {DISABLE_IPV6}
    namespaces = frozenset(item.key.name for item in desired if isinstance(item, DesiredNetns))  # none of them has to exist
    objects = [item for item in desired if not isinstance(item, DesiredNetns)]
    routing = {item.key.netns for item in objects if _needs_routing(item)}
    routing |= {key.netns for key in links.intersection(links_with_client)}
    needed = {item.key.netns for item in objects if needs_namespace(item)}
    tolerated = frozenset(item.key.netns for item in objects if item.key.netns not in needed)
    return Scope(frozenset(links), namespaces, namespaces, tolerated, sysctls, routing=frozenset(routing))


def widened(scope: Scope, desired: Sequence[Desired], planned: Plan, all_namespaces: Callable[[], Iterable[str]]) -> Scope:
    """The scope with what the operations of a plan affect besides, as far as that plan could see it."""
    renames = {
        operation.key: replace(operation.key, name=operation.name)
        for operation in planned.operations
        if isinstance(operation, Rename)
    }
    # A renamed link keeps its settings and its lease: they are read under its old name.
    sysctls = {old: scope.sysctls[new] for old, new in renames.items() if new in scope.sysctls}
    routing = {key.netns for key in renames if ClientKey(key) in planned.before.clients}
    if planned.at_risk:  # what is lost has to be known; and its addresses may come along to another namespace
        routing |= {key.netns for key in planned.at_risk} | {item.key.netns for item in desired if isinstance(item, DesiredLink)}
    namespaces: Iterable[str] = ()
    if planned.at_risk or any(operation.affects_links_above() for operation in planned.operations):
        namespaces = all_namespaces()  # what sits on a link, and the other end of a pair, may be in any of them
    return replace(
        scope,
        namespaces=scope.namespaces.union(namespaces),
        sysctls={**scope.sysctls, **sysctls},
        settings=scope.settings | planned.at_risk,
        neighbors=scope.neighbors | planned.neighbors_at_risk,
        routing=scope.routing | routing,
    )


def scope_afterwards(scope: Scope, planned: Plan) -> Scope:
    """The scope to observe the same with when the plan was applied: a deleted link no longer leads to other namespaces."""
    touched = touched_links(planned.operations, planned.before)
    return replace(scope, namespaces=scope.namespaces | {key.netns for key in touched})


def touched_links(operations: Iterable[Operation], before: State) -> frozenset[LinkKey]:
    """The links that operations change, themselves or through the kernel."""
    state = before.copy()
    touched: set[LinkKey] = set()
    for operation in operations:
        changes = predicted_changes(operation, state)
        touched |= {key for key in changes if isinstance(key, LinkKey)}
        state.update(changes)
    return frozenset(touched)


def _needs_routing(item: Desired) -> bool:
    """Whether it names addresses, routes, rules or a lease. (A policy of addresses needs to know them.)"""
    if not isinstance(item, DesiredLink):
        return True
    policy = item.policy
    return (
        "addresses" in item.attributes
        or policy.announce
        or bool(policy.wait_dad)
        or (item.dhcp4 or item.source_routing) is not None
    )
