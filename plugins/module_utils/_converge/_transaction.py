# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All or nothing: the operations of a task that ran, newest last, and how they are rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._converge._difference import differences, restoring_operations
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._gateway import Gateway
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._scope import touched_links
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import ApplyFailed, NetdevError, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._dhcp_clients import ChangeClient
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import DeleteLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._next_boot import ChangeFiles
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import RemoveLinks
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import hint
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._plan import plan

# What is restored may make the kernel drop something else: an address that is added again in its place takes its routes along,
# and a route may need one that comes later. Two or three rounds were seen to be enough.
_MAX_ROUNDS = 8


class Transaction:
    """What ran so far. before, scope: the state that is rolled back to, and how to observe the same again."""

    def __init__(self, gateway: Gateway, before: State, scope: Scope) -> None:
        """Nothing has run yet."""
        self._gateway = gateway
        self._before = before
        self._scope = scope
        self._ran: list[Operation] = []
        self._planned: list[Operation] = []  # also those that did not run any more

    def run(self, operations: Sequence[Operation]) -> None:
        """Run operations in order; NetdevError when one fails. Those that ran, and one that ran in part, can be rolled back."""
        self._planned += operations
        for batch in _batches(operations):
            if len(batch) > 1 and self._delete_together(batch):
                self._ran += batch
                continue
            for operation in batch:
                self._run_one(operation)

    def bring_back(self, operations: Sequence[Operation]) -> None:
        """Run operations that only bring back what an earlier one made a network manager delete: they are not rolled back.

        When that earlier one is rolled back, the manager takes over what it finds.
        """
        ran = list(self._ran)
        try:
            self.run(operations)
        finally:
            self._ran = ran

    def _run_one(self, operation: Operation) -> None:
        for position, request in enumerate(operation.requests()):
            try:
                self._gateway.execute(request)
            except Exception as error:  # whatever it was, nothing half-done may stay
                if position or not operation.is_atomic:
                    self._ran.append(operation)
                advice = hint(request, error.errno) if isinstance(error, RequestFailed) else ""
                raise NetdevError(f"{operation} failed: {error}" + (f". {advice}" if advice else "")) from error
        self._ran.append(operation)

    def _delete_together(self, deletions: Sequence[Operation]) -> bool:
        """Whether the kernel deleted these links by one request; if not, it deleted none of them."""
        try:
            self._gateway.execute(
                RemoveLinks(tuple(operation.key for operation in deletions if isinstance(operation, DeleteLink)))
            )
        except RequestFailed:
            return False
        return True

    def roll_back(self, reason: Exception) -> ApplyFailed:
        """Roll everything back, newest first, and return the error that says so, and what differs from the state before."""
        undone: list[str] = []
        refused: list[str] = []
        refused_files: list[str] = []  # whether a manager has read its files again, no comparison shows
        for operation in self._inverses():
            (refused_files if isinstance(operation, ChangeFiles) else refused).extend(self._attempt(operation))
            undone.append(str(operation))
        try:
            remaining = self._restore(undone, refused)
        except RequestFailed as error:
            remaining = [str(error)]
        not_undone = [*refused_files, *(refused if remaining else ()), *remaining]
        message = str(reason).rstrip(".") if isinstance(reason, NetdevError) else repr(reason)
        if not_undone:
            message += f". The changes were rolled back, except for: {'; '.join(dict.fromkeys(not_undone))}"
        else:
            message += ". All changes were rolled back"
        return ApplyFailed(message, list(dict.fromkeys(undone)), list(dict.fromkeys(not_undone)))

    def _inverses(self) -> Iterator[Operation]:
        yield from self._removal_of_leases()
        for operation in reversed(self._ran):
            yield from operation.inverse()

    def _removal_of_leases(self) -> Sequence[Operation]:
        """The operations that remove what the leases of clients brought that this task started: no plan knew of that."""
        started = [
            operation
            for operation in self._ran
            if isinstance(operation, ChangeClient) and operation.before is None and operation.after is not None
        ]
        if not started:
            return ()
        without = [DesiredLink(operation.key.link, None, True, dhcp4=Dhcp4(enabled=False)) for operation in started]
        try:
            return plan(without, self._gateway.observe(self._scope)).operations
        except NetdevError:  # no plan can be made from the present state
            return ()

    def _restore(self, undone: list[str], refused: list[str]) -> list[str]:
        """Restore what the kernel removed meanwhile, until no operation restores more; sentences for what still differs."""
        touched = touched_links(self._planned, self._before)
        scope = replace(self._scope, links=self._scope.links | touched)
        now, former = self._gateway.observe(scope), None
        for _round in range(_MAX_ROUNDS):
            operations = restoring_operations(self._before, now)
            if not operations or operations == former:
                break
            for operation in operations:
                refused += self._attempt(operation)
                undone.append(str(operation))
            now, former = self._gateway.observe(scope), operations
        return differences(self._before, now, touched)

    def _attempt(self, operation: Operation) -> list[str]:
        """Run an operation as far as possible; sentences for the requests that were refused.

        What ran in part is rolled back in part. Whether that was enough, the comparison with the state before shows.
        """
        refused = []
        for request in operation.requests():
            try:
                self._gateway.execute(request)
            except Exception as error:  # go on with the rest
                refused.append(str(error))
        return refused


def _batches(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Operations in order; deletions of links in one namespace that follow each other stand together, all others alone."""
    batches: list[list[Operation]] = []
    for operation in operations:
        last = batches[-1][-1] if batches else None
        if isinstance(last, DeleteLink) and isinstance(operation, DeleteLink) and last.key.netns == operation.key.netns:
            batches[-1].append(operation)
        else:
            batches.append([operation])
    return batches
