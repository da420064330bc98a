# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: observe, plan, apply, observe again, and plan again, which must give nothing. Without Ansible.

A plan that fails half-way is undone, newest operation first, and what the kernel holds then is compared with what it held
before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import MANAGERS
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import BootPlan, Engine, plan_boot
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    merge,
    writes_host_files,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import (
    ApplyFailed,
    NeedsRecreate,
    NetdevError,
    RequestFailed,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import DISABLE_IPV6
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._dhcp_clients import ChangeClient
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import DeleteLink, Rename, UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import RemoveLinks, Request
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import hint
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._guard import check_lockout
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._plan import Plan, plan
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routing import is_kernel_made, restore_prefsrc
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DHCP,
    KERNEL,
    STATIC,
    identity,
    misplaced,
    owner,
)


class Gateway(Protocol):
    """What the loop needs of the kernel; the real one is in _gateway, the tests have one without a kernel."""

    def resolve(self, items: Sequence[Desired]) -> tuple[Desired, ...]:
        """The items with one name per namespace, and numbers for names of groups."""

    def observe(self, scope: Scope) -> State:
        """Read what the scope says; changes nothing."""

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one."""

    def connection(self) -> Connection:
        """How the task reaches this host."""

    def has_declarations(self) -> bool:
        """Whether anything comes back at the next boot, or is served until then."""

    def boot_state(self, ask_managers: bool) -> BootState:
        """The files that bring things back at the next boot. ask_managers: with what the network managers report."""

    def execute(self, request: Request) -> None:
        """Send one request; RequestFailed when the kernel refuses it."""


@dataclass(frozen=True)
class Result:
    """What came of it: the items as they were understood, the plan, and the state afterwards (predicted or observed).

    boot: what is done for the next boot.
    """

    items: tuple[Desired, ...]
    plan: Plan
    after: State
    boot: BootPlan = field(default_factory=BootPlan)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All, in order."""
        return (*self.boot.first, *self.plan.operations, *self.boot.last)


def converge(
    gateway: Gateway,
    items: Sequence[Desired],
    apply: bool,
    allow_lockout: bool = False,
    engine: Callable[[], Engine] | None = None,
) -> Result:
    """Make the wanted state true; apply false stops at the plan, and `after` is its prediction.

    allow_lockout: go on even where the connection that the task came by would be cut. engine: makes the program of the next
    boot; without it the next boot is left alone.

    Refused and InvalidValue come before anything was changed; ApplyFailed after what was changed has been undone.
    """
    resolved = gateway.resolve(items)
    scope = _scope(resolved)
    found = plan(resolved, gateway.observe(scope))
    # Where a client ends, what its lease brought is looked at once more afterwards.
    served = {key.link.netns for key in found.before.clients if key.link in scope.links}
    scope = replace(scope, traffic=scope.traffic | served)
    renamed, moved = _settings_by_old_names(found, scope), _with_clients_by_old_names(found)
    if renamed or moved - scope.traffic:
        scope = replace(scope, sysctls={**scope.sysctls, **renamed}, traffic=scope.traffic | moved)
        found = plan(resolved, gateway.observe(scope))
    if found.at_risk:  # read what would be lost, and plan with it
        everywhere = frozenset(gateway.all_namespaces())  # what sits on a link may be in any of them
        places = {key.netns for key in found.at_risk} | {item.key.netns for item in resolved if isinstance(item, DesiredLink)}
        traffic = scope.traffic | places  # addresses may come along to another namespace
        scope = replace(scope, settings=found.at_risk, traffic=traffic, namespaces=scope.namespaces | everywhere)
        found = plan(resolved, gateway.observe(scope))
    if found.operations and not allow_lockout:
        connection = gateway.connection()
        if connection.links:
            around = replace(scope, links=scope.links | set(connection.links), traffic=scope.traffic | {HERE})
            check_lockout(found.operations, gateway.observe(around), connection)
    asked = any(map(writes_host_files, resolved))
    if engine is not None and not (asked or gateway.has_declarations()):
        engine = None  # nothing is declared or served, and no task asks for it
    boot = _plan_boot(gateway, resolved, found.after, engine)
    if not apply or not (found.operations or boot.first or boot.last):
        return Result(resolved, found, found.after, boot)
    # A link that goes no longer says where its lower device is: so its namespace is named here.
    places = {key.netns for key in _touched(found)}
    scope = replace(scope, namespaces=scope.namespaces | places)
    _boot_steps(gateway, boot.first, ())
    todo = found
    try:
        if boot.releases_links:  # what a manager took along that is to stay is there again, before the rest is done
            converge(gateway, boot.reapply, apply=True, allow_lockout=True)
            todo = plan(resolved, gateway.observe(scope))
        after = _apply_and_verify(gateway, resolved, todo, scope)
    except NetdevError as error:
        if not boot.first:
            raise
        undone, remains = _take_back(gateway, boot.first)
        if isinstance(error, ApplyFailed):
            undone, remains = [*error.undone, *undone], [*error.left, *remains]
        raise ApplyFailed(str(error), undone, remains) from error
    # Now the kernel has chosen what it was to choose, such as a MAC.
    last = _plan_boot(gateway, resolved, after, engine)
    try:
        steps = (*last.first, *last.last)
        _boot_steps(gateway, steps, boot.first)
        if boot.reapply:  # a rule that left the file of a link that stays
            converge(gateway, boot.reapply, apply=True, allow_lockout=True)
        left = _plan_boot(gateway, resolved, after, engine).changes
        if left:
            undone, remains = _take_back(gateway, (*boot.first, *steps))
            what = f"the files of the next boot are not as they were written: {', '.join(path for path, _old, _new in left)}"
            raise ApplyFailed(_told(what, remains), undone, remains)
    except NetdevError as error:
        undone, remains = _undo(gateway, todo, scope, todo.operations)
        if isinstance(error, ApplyFailed):
            undone, remains = [*undone, *error.undone], [*remains, *error.left]
        raise ApplyFailed(str(error), undone, remains) from error
    changes = {path: (path, before, new) for path, before, new in (*boot.changes, *last.changes)}
    for path, before, _new in boot.changes:
        changes[path] = (path, before, changes[path][2])
    return Result(resolved, found, after, replace(boot, changes=tuple(changes.values())))


def _plan_boot(gateway: Gateway, items: Sequence[Desired], after: State, engine: Callable[[], Engine] | None) -> BootPlan:
    if engine is None:
        return BootPlan()
    return plan_boot(merge(items, describe_attribute), after, gateway.boot_state(_asks_manager(items)), engine())


def _asks_manager(items: Sequence[Desired]) -> bool:
    return any(item.persist in MANAGERS for item in items)


def _boot_steps(gateway: Gateway, steps: Sequence[Operation], before: Sequence[Operation]) -> None:
    """Do them; when one fails, take all back, with those that were done before."""
    begun: list[Operation] = list(before)
    for step in steps:
        begun.append(step)
        for request in step.requests():
            try:
                gateway.execute(request)
            except RequestFailed as error:
                undone, remains = _take_back(gateway, begun)
                raise ApplyFailed(_told(f"{step} failed: {error}", remains), undone, remains) from error


def _take_back(gateway: Gateway, steps: Sequence[Operation]) -> tuple[list[str], list[str]]:
    undone: list[str] = []
    refused: list[str] = []
    for step in reversed(steps):
        for inverse in step.inverse():
            refused += _attempt(gateway, inverse)
            undone.append(str(inverse))
    return undone, refused


def _apply_and_verify(gateway: Gateway, resolved: Sequence[Desired], found: Plan, scope: Scope) -> State:
    """Apply a plan, and look what came of it."""
    _apply(gateway, found, scope)
    try:
        after = gateway.observe(scope)
        left = [str(operation) for operation in plan(resolved, after).operations]
    except NeedsRecreate as error:  # it was created a moment ago, so that another time would not help
        left = [f"{error.changes} (this kernel ignores it)"]
    except NetdevError as error:  # what came out is not even a state to go on from
        left = [str(error)]
    if left:
        undone, remains = _undo(gateway, found, scope, found.operations)
        sentences = "; ".join(left)
        raise ApplyFailed(
            _told(f"the kernel acknowledged every request, but did not keep what was asked for: {sentences}", remains),
            undone,
            remains,
        )
    return after


def _scope(items: Sequence[Desired]) -> Scope:
    desired_links = [item for item in items if isinstance(item, DesiredLink)]
    links = {item.key for item in desired_links}
    links |= {item.attributes[name] for item in desired_links for name in ("lower_device", "peer") if item.attributes.get(name)}
    sysctls = {item.key: frozenset(item.attributes["sysctls"]) for item in desired_links if item.attributes.get("sysctls")}
    for item in desired_links:
        if any(address.family == 6 for address in item.attributes.get("addresses") or ()):
            sysctls[item.key] = sysctls.get(item.key, frozenset()) | {DISABLE_IPV6}
    names = frozenset(item.key.name for item in items if isinstance(item, DesiredNetns))  # of these, none has to be there
    traffic = frozenset(item.key.netns for item in items if not isinstance(item, DesiredNetns) and _is_about_traffic(item))
    return Scope(frozenset(links), names, names, sysctls, traffic=traffic)


def _settings_by_old_names(found: Plan, scope: Scope) -> dict[LinkKey, frozenset[str]]:
    """A link keeps its settings under another name: those that are wanted are read where they are."""
    renames = [operation for operation in found.operations if isinstance(operation, Rename)]
    new = {rename.key: replace(rename.key, name=rename.name) for rename in renames}
    return {key: scope.sysctls[new[key]] for key in new if new[key] in scope.sysctls}


def _with_clients_by_old_names(found: Plan) -> frozenset[str]:
    """The namespaces of links that get another name and have a DHCP client: under the new one, their traffic is looked at."""
    renames = [operation.key for operation in found.operations if isinstance(operation, Rename)]
    return frozenset(key.netns for key in renames if ClientKey(key) in found.before.clients)


def _is_about_traffic(item: DesiredLink | DesiredRoute | DesiredRule) -> bool:
    if not isinstance(item, DesiredLink):
        return True
    return "addresses" in item.attributes or item.policy.announce or bool(item.policy.wait_dad) or item.dhcp4 is not None


def _apply(gateway: Gateway, found: Plan, scope: Scope) -> None:
    begun: list[Operation] = []
    for operations in _batches(found.operations):
        if len(operations) > 1 and _at_once(gateway, operations):
            begun += operations
            continue
        for operation in operations:
            _perform(gateway, found, scope, operation, begun)


def _batches(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Operations in order; deletions in one namespace that follow each other stand together, all others alone."""
    found: list[list[Operation]] = []
    for operation in operations:
        last = found[-1][-1] if found else None
        together = isinstance(last, DeleteLink) and isinstance(operation, DeleteLink) and last.key.netns == operation.key.netns
        if together:
            found[-1].append(operation)
        else:
            found.append([operation])
    return found


def _at_once(gateway: Gateway, operations: Sequence[Operation]) -> bool:
    """Whether the links could be deleted with one request; if not, none of them was."""
    try:
        gateway.execute(RemoveLinks(tuple(operation.key for operation in operations if isinstance(operation, DeleteLink))))
    except RequestFailed:
        return False
    return True


def _perform(gateway: Gateway, found: Plan, scope: Scope, operation: Operation, begun: list[Operation]) -> None:
    """Send the requests of an operation and add it to those that were begun; undo all of them when one is refused."""
    for position, request in enumerate(operation.requests()):
        try:
            gateway.execute(request)
        except Exception as error:  # whatever it was, nothing half-done may stay
            # Only a change of a living link, or a client, may leave something behind when its first request fails.
            if position or isinstance(operation, (UpdateLink, ChangeClient)):
                begun.append(operation)
            undone, remains = _undo(gateway, found, scope, begun)
            advice = hint(request, error.errno) if isinstance(error, RequestFailed) else ""
            told = f"{operation} failed: {error}." + (f" {advice}." if advice else "")
            raise ApplyFailed(_told(told, remains), undone, remains) from error
    begun.append(operation)


def _told(what: str, remains: list[str]) -> str:
    if not remains:
        return f"{what.rstrip('.')}. Everything that had been done was undone"
    return f"{what.rstrip('.')}. Of what had been done this could not be undone: {'; '.join(remains)}"


def _undo(gateway: Gateway, found: Plan, scope: Scope, begun: Sequence[Operation]) -> tuple[list[str], list[str]]:
    """Take operations back, newest first; (sentences of what was done for it, of what differs from before)."""
    undone: list[str] = []
    refused: list[str] = []
    for step in _leases_back(gateway, scope, begun):
        refused += _attempt(gateway, step)
        undone.append(str(step))
    for operation in reversed(begun):
        for inverse in operation.inverse():
            refused += _attempt(gateway, inverse)
            if str(inverse) not in undone:  # a client may have been ended for its leases already
                undone.append(str(inverse))
    touched = _touched(found)
    details = replace(scope, links=scope.links | touched, settings=found.at_risk)
    try:
        routes = [route for some in found.before.routes.values() for route in some]
        for missing in (_lost, _misplaced, _lost):  # an address that goes for its place takes routes along
            for restore in missing(found.before, gateway.observe(details)):
                refused += _attempt(gateway, restore)
                undone.append(str(restore))
        for step in restore_prefsrc(routes, gateway.observe(details)):
            refused += _attempt(gateway, step)
            undone.append(str(step))
        now = gateway.observe(details)
        left = _differences(found.before, now, touched) + _routing_differences(found.before, now)
    except RequestFailed as error:
        return undone, [*refused, str(error)]
    return undone, [*refused, *left] if left else []


def _leases_back(gateway: Gateway, scope: Scope, begun: Sequence[Operation]) -> Sequence[Operation]:
    """What takes away that which clients, started a moment ago, may have brought meanwhile: no plan knew of it."""
    started = [step for step in begun if isinstance(step, ChangeClient) and step.before is None and step.after is not None]
    if not started:
        return ()
    ends = [DesiredLink(step.key.link, None, True, dhcp4=Dhcp4(enabled=False)) for step in started]
    try:
        return plan(ends, gateway.observe(scope)).operations
    except NetdevError:  # what is there is not even a state to go on from
        return ()


def _attempt(gateway: Gateway, operation: Operation) -> list[str]:
    """Send every request of an operation; sentences for those that were refused.

    One refusal does not end it: what had been done only in part is undone only in part. Whether that was enough is for the
    comparison with the state before to say.
    """
    refused = []
    for request in operation.requests():
        try:
            gateway.execute(request)
        except Exception as error:  # go on with the rest
            refused.append(str(error))
    return refused


def _touched(found: Plan) -> frozenset[LinkKey]:
    state = found.before.copy()
    touched: set[LinkKey] = set()
    for operation in found.operations:
        changes = predicted_changes(operation, state)
        touched |= {key for key in changes if isinstance(key, LinkKey)}
        state.update(changes)
    return frozenset(touched)


def _lost(before: State, now: State) -> list[RestoreContents]:
    """What lived on links and is gone, though the links are there."""
    found = []
    for link in before:
        carried, rest = before.contents_of(link.key), now.contents_of(link.key)
        there = {identity(address) for address in rest.addresses}
        restore = RestoreContents(
            link.key,
            tuple(one for one in carried.addresses if identity(one) not in there and owner(one) in (STATIC, DHCP)),
            tuple(route for route in carried.routes if route.plain and route not in rest.routes and not is_kernel_made(route)),
            {name: value for name, value in carried.sysctls.items() if rest.sysctls.get(name) != value},
        )
        if now.get(link.key) is not None and restore.requests():
            found.append(restore)
    return found


def _misplaced(before: State, now: State) -> list[RestoreContents]:
    """Addresses that are there, but no longer in their order."""
    found = [(link.key, misplaced(link.get("addresses") or (), now.contents_of(link.key).addresses)) for link in before]
    return [RestoreContents(key, readd=tuple(addresses)) for key, addresses in found if addresses]


def _differences(before: State, observed: State, keys: frozenset[LinkKey]) -> list[str]:
    """Sentences for what is not as it was."""
    was_there, is_there = ({str(space) for space in state.namespaces.values()} for state in (before, observed))
    found = [f"{space} is gone" for space in sorted(was_there - is_there)]
    found += [f"{space} is there" for space in sorted(is_there - was_there)]
    for key in sorted(keys):
        old, new = before.get(key), observed.get(key)
        if old is None or new is None:
            if (old is None) != (new is None):
                found.append(f"{key} {'is there' if new else 'is gone'}")
            continue
        if old.kind != new.kind:
            found.append(f"{key} is {new.kind} now, it was {old.kind}")
            continue
        for row in kind_of(old.kind).attributes:
            was, value = old.get(row.name), new.get(row.name)
            if was not in (None, {}) and not row.derived and row.type.difference(value, was):
                now = "not known" if value is None else row.type.describe(value)
                found.append(f"{row.name} of {key} is {now}, it was {row.type.describe(was)}")
        lost, rest = before.contents_of(key), observed.contents_of(key)
        had, has = ({str(one) for one in carried.addresses if owner(one) != KERNEL} for carried in (lost, rest))
        found += [f"{item} on {key} is gone" for item in sorted(had - has)]
        found += [f"{item} is on {key}" for item in sorted(has - had) if old.get("addresses") is not None]
        found += [f"{item} on {key} is not in its place" for item in misplaced(lost.addresses, rest.addresses)]
        found += [
            f"{name} of {key} is {rest.sysctls.get(name)}, it was {value}"
            for name, value in lost.sysctls.items()
            if rest.sysctls.get(name) != value
        ]
    return found


def _routing_differences(before: State, observed: State) -> list[str]:
    """Sentences for routes and rules that are not as they were, in the namespaces where both were read."""
    found = []
    pairs: tuple[tuple[Mapping[Any, Any], Mapping[Any, Any]], ...] = (
        (_lasting_routes(before), _lasting_routes(observed)),
        (before.rules, observed.rules),
    )
    for old, new in pairs:
        found += [f"{key} is gone" for key in old if key not in new]
        found += [f"{key} is there" for key in new if key not in old]
        found += [f"{key} is not as it was" for key in old if key in new and not _alike(old[key], new[key])]
    return found


def _lasting_routes(state: State) -> dict[RouteKey, tuple[Any, ...]]:
    kept = {key: tuple(route for route in some if not is_kernel_made(route)) for key, some in state.routes.items()}
    return {key: some for key, some in kept.items() if some}


def _alike(old: Sequence[Any], new: Sequence[Any]) -> bool:
    return len(old) == len(new) and all(one in new for one in old)
