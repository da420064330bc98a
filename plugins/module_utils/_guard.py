# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path: no plan may cut the connection that it came by, unless that is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._model import Connection, Link, LinkKey, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations import Operation, Rename


def management_path(state: State, links: Iterable[LinkKey]) -> frozenset[LinkKey]:
    """The links that carry the connection, with all that they hang on: lower devices, bridges and their ports, other ends."""
    found: set[LinkKey] = set()
    left = list(links)
    while left:
        key = left.pop()
        link = state.get(key)
        if link is None or key in found:
            continue
        found.add(key)
        left += [other for other in (link.get("lower_device"), link.get("peer")) if other is not None]
        if link.get("controller"):
            left.append(LinkKey(key.netns, link.get("controller")))
        left += [port.key for port in state.attached(key)]
        left += [upper.key for upper in state.above(key) if _takes_over(upper)]  # what comes in, comes through it
    return frozenset(found)


def check_lockout(operations: Iterable[Operation], before: State, connection: Connection, around: State) -> None:
    """Raise Refused with a sentence that names the path if an operation would cut it.

    before: the state that the operations start from; around: one that has the links of the connection.
    """
    path = management_path(around, connection.links)
    state = before.copy()
    for operation in operations:
        changes = operation.predict(state)
        for key, after in changes.items():
            if not isinstance(key, LinkKey) or isinstance(operation, Rename):
                continue
            why = _cuts(key, state.get(key), after, path)
            if why:
                by = ", ".join(str(part) for part in sorted(path))
                raise Refused(
                    f"{operation}: that would cut this host off: {why}, and {connection.said} uses {by}. "
                    "Write allow_lockout: true if that is meant"
                )
        state.update(changes)


def _cuts(key: LinkKey, before: Link | None, after: Link | None, path: frozenset[LinkKey]) -> str:
    """How the change of one link cuts the path; empty when it does not."""
    if key in path and before is not None:
        if after is None:
            return f"{key} goes"
        if before.get("admin_state") != "down" and after.get("admin_state") == "down":
            return f"{key} goes down"
        if after.get("address") and before.get("address") and after.get("address") != before.get("address"):
            return f"the MAC of {key} changes"
        if before.get("controller") != after.get("controller"):
            return f"{key} is {'attached to ' + after.get('controller') if after.get('controller') else 'detached'}"
    if after is None or after.get("lower_device") not in path:
        return ""
    lower = after.get("lower_device")
    if _takes_over(after) and not (before is not None and _takes_over(before)):
        return f"in mode passthru it takes {lower} over"
    consumed = before is not None and _consumes(before) and before.get("source_addresses") == after.get("source_addresses")
    if _consumes(after) and not consumed:
        return f"with nodst it takes frames away from {lower}"
    return ""


def _takes_over(link: Link) -> bool:
    return bool(link.get("mode") == PASSTHRU)


def _consumes(link: Link) -> bool:
    return bool(link.get("mode") == SOURCE and link.get("nodst"))
