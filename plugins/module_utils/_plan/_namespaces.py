# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations for one named network namespace."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredNetns
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LEFT_BEHIND, PHYSICAL, LinkKey, Netns
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._namespaces import CreateNetns, DeleteNetns
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._deletion import delete


def create_namespace(item: DesiredNetns, context: Context) -> Iterator[Operation]:
    """Create a namespace that does not exist, in the place of a file that remains of a former one."""
    namespace = context.predicted.namespaces.get(item.key)
    if namespace is not None and namespace.obstacle:
        yield _delete_file(namespace)
    if namespace is None or namespace.obstacle:
        yield CreateNetns(item.key)


def empty_namespace(item: DesiredNetns, context: Context) -> Iterator[Operation]:
    """Delete the links of a namespace that is to be deleted, so that a rollback can create them again."""
    state = context.predicted
    namespace = state.namespaces.get(item.key)
    if namespace is None or namespace.obstacle:
        return
    if namespace.processes and not item.force:
        processes = ", ".join(str(process) for process in namespace.processes[:5])
        processes += ", ..." if len(namespace.processes) > 5 else ""
        raise Refused(
            f"{item.key}: processes run in it ({processes}). Stop them first, or set force: true to delete only its name: "
            "the processes keep the namespace"
        )
    if namespace.processes:  # the namespace continues to exist, and so do its links
        return
    for key in [link.key for link in state if link.key.netns == item.key.name and link.key.name != "lo"]:
        link = state.get(key)  # None: the deletion of another link has deleted it
        if link is not None and link.kind != PHYSICAL:  # the kernel moves physical links back to the first namespace
            yield delete(link, context)


def delete_namespace(item: DesiredNetns, context: Context) -> Iterator[Operation]:
    """Delete a namespace, whose links are deleted already, or what is in its place."""
    namespace = context.predicted.namespaces.get(item.key)
    if namespace is None:
        return
    if namespace.obstacle:
        yield _delete_file(namespace)
        return
    loopback = context.predicted.get(LinkKey(item.key.name, "lo"))
    yield DeleteNetns(item.key, loopback is not None and loopback.admin_state == "up")


def _delete_file(namespace: Netns) -> DeleteNetns:
    """Delete what is in the place of a namespace, if nobody can own it."""
    if namespace.obstacle != LEFT_BEHIND:
        raise Refused(
            f"{namespace.key}: /run/netns/{namespace.key.name} is {namespace.obstacle}, not a network namespace, and is not "
            "deleted. Move it away first, or choose another name"
        )
    return DeleteNetns(namespace.key, left_behind=True)
