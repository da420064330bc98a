# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that create, change and delete links, each as the messages, files or system calls that it takes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._link_messages import AF_BRIDGE, RawLink, write_link
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import draws_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAltname,
    NewLink,
    RemoveAltname,
    RemoveLink,
    RemoveLinks,
    RenameLink,
    SetLink,
    SetNode,
    WriteSysctl,
)

_FIRST_GROUP = 0x50420000  # far from the numbers that people choose
_NLM_F_APPEND = 0x800


def create(kernel: Kernel, request: NewLink) -> None:
    """Create a link, sent where its lower device is, straight into its own namespace: it never appears in another one."""
    lower = AttributeView(request.attributes).lower_device
    start, target = (kernel.namespace(netns) for netns in ((lower or request.key).netns, request.key.netns))
    attributes = _with_random_address(request.kind, request.attributes)
    header, attrs = write_link(request.kind, attributes, kernel.index, request.key)
    if not request.peer and not any(item[0] == "IFLA_LINKINFO" for item in attrs):
        attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", request.kind]]}])
    attrs.insert(0, ["IFLA_IFNAME", request.key.name])
    first = request.index
    if first is None and kind_of(request.kind).has_node:
        first = _first_index_without_node(kernel, start.name, target.name)
    kernel.forget_index(request.key)
    with contextlib.ExitStack() as files:
        if request.peer is not None:
            data = _peer_data(kernel, request, *request.peer, files)
            attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", request.kind], data]}])
        if start is not target:
            attrs.append(["IFLA_NET_NS_FD", files.enter_context(target.file())])
        for index in itertools.count(first or 0):  # 0 has the kernel choose
            try:
                flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
                kernel.send(start.name, kernel.codec.link, codec.RTM_NEWLINK, flags, {**header, "index": index}, attrs)
                return
            except NetlinkError as error:
                is_our_choice = index and request.index is None and error.errno in (errno.EEXIST, errno.EBUSY)
                if not is_our_choice or not any(kernel.name_by_index(netns, index) for netns in (start.name, target.name)):
                    raise


def _with_random_address(kind: str, attributes: Attributes) -> Attributes:
    """With a random MAC address where the kernel would choose one.

    udev takes the kernel's for a provisional one, and replaces it moments after the link was read.
    """
    if "address" in attributes or not draws_address(kind_of(kind), attributes):
        return attributes
    first, *rest = os.urandom(6)
    return {**attributes, "address": bytes([first & 0xFC | 0x02, *rest]).hex(":")}  # locally administered, unicast


def _first_index_without_node(kernel: Kernel, start: str, target: str) -> int | None:
    """The lowest index with which a new macvtap gets a node of its own; None if every index that the kernel may choose does.

    All namespaces share one /dev, so the node of a link elsewhere would stand for the new one. An older kernel (seen on
    Linux 6.1) requires that the index is free in the namespace that the request is sent in, too.
    """
    used_indexes = devices.indexes_with_node()
    if used_indexes <= kernel.indexes_in(target):
        return None
    return 1 + max(used_indexes | kernel.indexes_in(start, target))


def _peer_data(
    kernel: Kernel, request: NewLink, key: LinkKey, attributes: Attributes, files: contextlib.ExitStack
) -> codec.Attrs:
    """The data of a veth that describes its other end, and where that is created. files: keeps files open for the request."""
    _header, attrs = write_link(request.kind, _with_random_address(request.kind, attributes), kernel.index, key)
    attrs.insert(0, ["IFLA_IFNAME", key.name])
    if key.netns != request.key.netns:
        attrs.append(["IFLA_NET_NS_FD", files.enter_context(kernel.namespace(key.netns).file())])
    kernel.forget_index(key)
    header = {} if request.peer_index is None else {"index": request.peer_index}
    return ["IFLA_INFO_DATA", {"attrs": [["VETH_INFO_PEER", {**header, "attrs": attrs}]]}]


def change(kernel: Kernel, request: SetLink) -> None:
    """Change attributes of a link."""
    header, attrs = write_link(request.kind, request.attributes, kernel.index, request.key)
    # Only RTM_NEWLINK changes the data of a kind, only RTM_SETLINK that of a bridge port.
    kind = codec.RTM_SETLINK if header.get("family") == AF_BRIDGE else codec.RTM_NEWLINK
    kernel.send(request.key.netns, kernel.codec.link, kind, 0, {**header, "index": kernel.index(request.key)}, attrs)


def renames_while_up() -> bool:
    """Whether the kernel renames a link that is up: Linux 6.2 and later."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return release is None or (int(release[1]), int(release[2])) >= (6, 2)


def rename(kernel: Kernel, request: RenameLink) -> None:
    """Rename a link."""
    index = kernel.index(request.key)
    _set(kernel, request.key.netns, index, ["IFLA_IFNAME", request.name])
    kernel.forget_index(request.key)
    kernel.remember_index(replace(request.key, name=request.name), index)


def _set(kernel: Kernel, netns: str, index: int, attribute: codec.Attrs) -> None:
    kernel.send(netns, kernel.codec.link, codec.RTM_SETLINK, 0, {"index": index}, [attribute])


def delete(kernel: Kernel, request: RemoveLink) -> None:
    """Delete a link."""
    index = kernel.index(request.key)
    kernel.send(request.key.netns, kernel.codec.link, codec.RTM_DELLINK, 0, {"index": index}, [])
    kernel.forget_index(request.key)


def delete_together(kernel: Kernel, request: RemoveLinks) -> None:
    """Delete links by a group that has no other members: the kernel deletes a whole group, or nothing of it."""
    netns = request.keys[0].netns
    groups = {index: _group(link) for index, link in kernel.dump_links(netns).items()}
    group = next(number for number in itertools.count(_FIRST_GROUP) if number not in groups.values())
    indexes = [kernel.index(key) for key in request.keys]
    changed: list[int] = []
    try:
        for index in indexes:
            changed.append(index)
            _set(kernel, netns, index, ["IFLA_GROUP", group])
        _check_members(kernel, netns, group, indexes)
        kernel.send(netns, kernel.codec.link, codec.RTM_DELLINK, 0, {}, [["IFLA_GROUP", group]])
    except NetlinkError:
        for index in changed:
            with contextlib.suppress(NetlinkError):  # it may be gone meanwhile
                _set(kernel, netns, index, ["IFLA_GROUP", groups[index]])
        raise
    for key in request.keys:
        kernel.forget_index(key)


def _check_members(kernel: Kernel, netns: str, group: int, indexes: Sequence[int]) -> None:
    members = {index for index, link in kernel.dump_links(netns).items() if _group(link) == group}
    if members != set(indexes):
        raise NetlinkError(errno.EAGAIN, "another program uses the same link group")


def _group(link: RawLink) -> int:
    return AttributeView(link.attributes).number("group") or 0


def add_altname(kernel: Kernel, request: AddAltname) -> None:
    """Give a link one more name."""
    flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL | _NLM_F_APPEND
    _send_altname(kernel, codec.RTM_NEWLINKPROP, flags, request.key, request.altname)


def remove_altname(kernel: Kernel, request: RemoveAltname) -> None:
    """Remove a name from a link."""
    _send_altname(kernel, codec.RTM_DELLINKPROP, 0, request.key, request.altname)


def _send_altname(kernel: Kernel, kind: int, flags: int, key: LinkKey, altname: str) -> None:
    attrs: codec.Attrs = [["IFLA_PROP_LIST", {"attrs": [["IFLA_ALT_IFNAME", altname]]}]]
    kernel.send(key.netns, kernel.codec.link, kind, flags, {"index": kernel.index(key)}, attrs)


def write_sysctl(kernel: Kernel, request: WriteSysctl) -> None:
    """Write a setting of a link."""
    kernel.namespace(request.key.netns).sysctls.write(request.key.name, request.setting, request.value)


def set_node(kernel: Kernel, request: SetNode) -> None:
    """Set the owner, group or mode of the device node of a macvtap."""
    number = kernel.namespace(request.key.netns).device_numbers(refresh=True).get(request.key.name)
    devices.write_node(kernel.index(request.key), number, request.attributes)
