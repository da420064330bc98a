# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge: observe, plan to a fixpoint, apply, verify, settle the next boot; roll back when something fails. Without Ansible."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import MANAGERS
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import BootPlan, Change, plan_boot
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._gateway import Gateway
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._scope import initial_scope, scope_afterwards, widened
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._transaction import Transaction
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, merge, writes_host_files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import NeedsRecreate, NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._guard import check_lockout
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._plan import Plan, plan
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._references import with_names


@dataclass(frozen=True)
class Result:
    """The desired state as it was resolved, the plan, the state afterwards (predicted or observed), and the next boot's files."""

    items: tuple[Desired, ...]
    plan: Plan
    after: State
    boot: BootPlan = field(default_factory=BootPlan)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations, in order."""
        return (*self.boot.prepare, *self.plan.operations, *self.boot.settle)


def converge(
    gateway: Gateway,
    items: Sequence[Desired],
    apply: bool,
    allow_lockout: bool = False,
    engine: Callable[[], Engine] | None = None,
) -> Result:
    """Make the desired state true; without `apply`, only plan, and `after` is the prediction of the plan.

    allow_lockout: go on even where the connection that the task uses would be cut. engine: builds the program of the next boot;
    without it the next boot is left alone.

    Refused and InvalidValue come before anything is changed; ApplyFailed comes after what was changed has been rolled back.
    """
    desired, scope, planned = _plan(gateway, gateway.resolve(items))
    if planned.operations and not allow_lockout:
        _refuse_lockout(gateway, scope, planned)
    if not (any(map(writes_host_files, desired)) or gateway.has_declarations()):
        engine = None  # nothing is declared or served, and this task does not ask for it
    served = gateway.links_with_client()
    boot = _plan_boot(gateway, desired, planned.after, engine, served)
    if not apply or not (planned.operations or boot.prepare or boot.settle):
        return Result(desired, planned, planned.after, boot)
    scope = scope_afterwards(scope, planned)
    transaction = Transaction(gateway, planned.before, scope)
    try:
        # Prepare the next boot: what keeps other programs off new links, and the declarations of old ones.
        transaction.run(boot.prepare)
        remaining = planned
        if boot.releases_links:  # what a network manager deleted although it stays is there again before the rest is done
            _reapply(gateway, transaction, boot.reapply)
            remaining = plan(desired, gateway.observe(scope))
        transaction.run(remaining.operations)
        after = _verified(gateway, desired, scope)
        # Settle the next boot: now the kernel has chosen what it was to choose, such as a MAC address.
        settled = _plan_boot(gateway, desired, after, engine, served)
        transaction.run((*settled.prepare, *settled.settle))
        _reapply(gateway, transaction, boot.reapply)  # such as a rule that left the file of a link that stays
        unsettled = [path for path, _before, _after in _plan_boot(gateway, desired, after, engine, served).changes]
        if unsettled:
            raise NetdevError(f"the files of the next boot differ from what was written: {', '.join(unsettled)}")
    except Exception as error:  # whatever it was, nothing half-done may stay
        raise transaction.roll_back(error) from (error.__cause__ or error)
    return Result(desired, planned, after, replace(boot, changes=_joined(boot, settled)))


def _plan(gateway: Gateway, desired: tuple[Desired, ...]) -> tuple[tuple[Desired, ...], Scope, Plan]:
    """The plan that knows all that its operations affect, the scope that it was made from, and the items with names of links."""
    scope = initial_scope(desired, gateway.links_with_client())
    state = gateway.observe(scope)
    named = with_names(desired, state)
    if named != desired:
        return _plan(gateway, named)
    while True:
        planned = plan(desired, state)
        wider = widened(scope, desired, planned, gateway.all_namespaces)
        if wider == scope:
            return desired, scope, planned
        scope, state = wider, gateway.observe(wider)


def _refuse_lockout(gateway: Gateway, scope: Scope, planned: Plan) -> None:
    connection = gateway.connection()
    if connection.links:
        wider = replace(scope, links=scope.links.union(connection.links), routing=scope.routing | {HERE})
        check_lockout(planned.operations, gateway.observe(wider), connection)


def _reapply(gateway: Gateway, transaction: Transaction, desired: Sequence[Desired]) -> None:
    """Restore what a network manager deleted when it reloaded its files."""
    if desired:
        desired, scope, planned = _plan(gateway, gateway.resolve(desired))
        transaction.bring_back(planned.operations)
        _verified(gateway, desired, scope)


def _verified(gateway: Gateway, desired: Sequence[Desired], scope: Scope) -> State:
    """The state as it is now; NetdevError when it is not the desired one."""
    try:
        state = gateway.observe(scope)
        missing = [str(operation) for operation in plan(desired, state).operations]
    except NeedsRecreate as error:  # the link was created a moment ago, so recreating it would not help
        missing = [f"{error.changes} (this kernel ignores it)"]
    except NetdevError as error:  # no plan can be made from this state
        missing = [str(error)]
    if missing:
        raise NetdevError(f"the kernel acknowledged all requests but did not apply this: {'; '.join(missing)}")
    return state


def _plan_boot(
    gateway: Gateway,
    desired: Sequence[Desired],
    after: State,
    engine: Callable[[], Engine] | None,
    served: Collection[LinkKey],
) -> BootPlan:
    if engine is None:
        return BootPlan()
    names_manager = any(item.persist in MANAGERS for item in desired)
    return plan_boot(merge(desired, describe_attribute), after, gateway.boot_state(names_manager), engine(), served)


def _joined(prepared: BootPlan, settled: BootPlan) -> tuple[Change, ...]:
    """The changes of all files: each from what it was before the task to what it is after it."""
    changes = {path: (path, before, after) for path, before, after in prepared.changes}
    for path, before, after in settled.changes:
        changes[path] = (path, changes[path][1] if path in changes else before, after)
    return tuple(changes.values())
