# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the kernel: each request, as the messages, files or calls that it takes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _dhcp as dhcp
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _disk as disk
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _messages as messages
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._access import Access
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._announce import frame
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import leave_behind, make, remove
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import draws_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    AwaitLease,
    DeleteFile,
    NewLink,
    NewNetns,
    Reload,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
    RemoveLinks,
    RemoveNetns,
    RemoveRoute,
    RemoveRule,
    RenameLink,
    ReplaceAddress,
    ReplaceRoute,
    Request,
    RunSelfTest,
    SetLink,
    SetNode,
    StartClient,
    StopClient,
    WriteFile,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import is_duplicate

PROMOTE = "ipv4.promote_secondaries"
_FIRST_GROUP = 0x50420000  # far from the numbers that people choose


class Writing(Access):
    """Sends one request at a time, and waits for the word of the kernel."""

    def execute(self, request: Request) -> None:
        """Send one request and wait for the kernel's word; RequestFailed says what it refused."""
        try:
            if isinstance(request, WriteSysctl):
                self._namespace(request.key.netns).write_setting(request.key.name, request.setting, request.value)
            elif isinstance(request, NewLink):
                self._create(request)
            elif isinstance(request, SetLink):
                self._set(request)
            elif isinstance(request, RemoveLink):
                self._send(request.key.netns, self._codec.link, codec.RTM_DELLINK, 0, {"index": self._index(request.key)}, [])
                self._indexes.pop(request.key)
            elif isinstance(request, NewNetns):
                (leave_behind if request.left_behind else make)(request.name)
            elif isinstance(request, RemoveNetns):
                self._forget(request.name)
                remove(request.name, request.left_behind)
            elif isinstance(request, RemoveLinks):
                self._remove_all(request.keys)
            elif isinstance(request, RenameLink):
                self._rename(request)
            elif isinstance(request, SetNode):
                number = self._namespace(request.key.netns).tap_numbers(fresh=True).get(request.key.name)
                devices.write(self._index(request.key), number, request.attributes)
            elif isinstance(request, (AddAltname, RemoveAltname)):
                self._send_altname(request)
            elif isinstance(request, (AddAddress, ReplaceAddress, RemoveAddress)):
                self._send_address(request)
            elif isinstance(request, AwaitAddresses):
                self._await_addresses(request)
            elif isinstance(request, AnnounceAddresses):
                with self.packet_socket(request.key) as packets:
                    mac = packets.getsockname()[4]
                    for ip in request.ips:
                        packets.send(frame(mac, ip))
            elif isinstance(request, (AddRoute, ReplaceRoute, RemoveRoute)):
                self._send_route(request)
            elif isinstance(request, (WriteFile, DeleteFile, Reload, RunSelfTest)):
                disk.execute(request)
            elif isinstance(request, StartClient):
                self._start_client(request.client)
            elif isinstance(request, StopClient):
                dhcp.stop(request.link.netns, request.link.name, request.left)
            elif isinstance(request, AwaitLease):
                dhcp.wait_for_lease(request.link.netns, request.link.name, request.seconds)
            else:
                self._send_rule(request)
        except NetlinkError as error:
            raise RequestFailed(f"the kernel refused to {request}: {error.text}", error.errno, error.text) from error
        except OSError as error:
            text = str(error.strerror)
            if isinstance(request, (WriteFile, DeleteFile, Reload, RunSelfTest, StartClient, StopClient, AwaitLease)):
                raise RequestFailed(f"it was not possible to {request}: {text}", error.errno or 0, text) from error
            raise RequestFailed(f"the kernel refused to {request}: {text}", error.errno or 0, text) from error

    def _start_client(self, client: Client) -> None:
        key = client.key.link
        index, namespace = self._index(key), self._namespace(key.netns)
        (part,) = namespace.socket.request(self._codec.encode(self._codec.link, codec.RTM_GETLINK, 0, {"index": index}, []))
        address = messages.read_link(self._codec.decode(self._codec.link, part)).attributes.get("address")
        dhcp.start(client, namespace.identity, index, address, key.netns)

    def _create(self, request: NewLink) -> None:
        """Sent where the lower device is, into the namespace where the link is to be: it is never seen elsewhere."""
        lower = request.attributes.get("lower_device")
        start, target = (self._namespace(netns) for netns in ((lower or request.key).netns, request.key.netns))
        header, attrs = messages.write_link(
            request.kind, _with_address(request.kind, request.attributes), self._index, request.key
        )
        if not request.peer and not any(item[0] == "IFLA_LINKINFO" for item in attrs):
            attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", request.kind]]}])
        attrs.insert(0, ["IFLA_IFNAME", request.key.name])
        if request.peer is not None:
            data = self._other_end(request, *request.peer)
            attrs.append(["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", request.kind], data]}])
        if start is not target:
            attrs.append(["IFLA_NET_NS_FD", target.descriptor])
        first = request.index
        if first is None and request.kind == "macvtap":
            first = self._first_without_node(start.name, target.name)
        self._indexes.pop(request.key, None)
        for index in itertools.count(first or 0):  # 0 has the kernel choose
            try:
                flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
                self._send(start.name, self._codec.link, codec.RTM_NEWLINK, flags, {**header, "index": index}, attrs)
                return
            except NetlinkError as error:
                ours = index and request.index is None and error.errno in (errno.EEXIST, errno.EBUSY)
                if not ours or not any(self._found_by_index(netns, index) for netns in (start.name, target.name)):
                    raise

    def _first_without_node(self, start: str, target: str) -> int | None:
        """From where on a new macvtap has a node of its own; None where that is so with every index that the kernel may choose.

        All namespaces share one /dev, so the node of a link elsewhere would stand for the new one. An older kernel (seen on
        Linux 6.1) wants an index to be free where the request is sent as well.
        """
        taken = devices.numbers()
        if taken <= {index for key, index in self._indexes.items() if key.netns == target}:
            return None
        return 1 + max(taken | {index for key, index in self._indexes.items() if key.netns in (start, target)})

    def _other_end(self, request: NewLink, key: LinkKey, attributes: Attributes) -> list[Any]:
        """The data of a pair that is made in a namespace: the whole of its other end, and where that is to be."""
        _header, attrs = messages.write_link(request.kind, _with_address(request.kind, attributes), self._index, key)
        attrs.insert(0, ["IFLA_IFNAME", key.name])
        if key.netns != request.key.netns:
            attrs.append(["IFLA_NET_NS_FD", self._namespace(key.netns).descriptor])
        self._indexes.pop(key, None)
        fixed = {} if request.peer_index is None else {"index": request.peer_index}
        return ["IFLA_INFO_DATA", {"attrs": [["VETH_INFO_PEER", {**fixed, "attrs": attrs}]]}]

    def _remove_all(self, keys: Sequence[LinkKey]) -> None:
        """By a group that nothing else is in: the kernel deletes a group as a whole, or, when it may not, nothing of it."""
        namespace = self._namespace(keys[0].netns)
        links = {link.index: link for link in self._dump_links(namespace).values()}
        group = next(
            number for number in itertools.count(_FIRST_GROUP) if number not in {_group(link) for link in links.values()}
        )
        ours = [self._index(key) for key in keys]
        changed: list[int] = []
        try:
            for index in ours:
                changed.append(index)
                self._send(namespace.name, self._codec.link, codec.RTM_SETLINK, 0, {"index": index}, [["IFLA_GROUP", group]])
            members = {link.index for link in self._dump_links(namespace).values() if _group(link) == group}
            if members != set(ours):  # somebody else took that group at the same moment
                raise NetlinkError(errno.EAGAIN, "the group is not ours alone")
            self._send(namespace.name, self._codec.link, codec.RTM_DELLINK, 0, {}, [["IFLA_GROUP", group]])
        except NetlinkError:
            for index in changed:
                with contextlib.suppress(NetlinkError):  # it may have gone meanwhile
                    attrs: codec.Attrs = [["IFLA_GROUP", _group(links[index])]]
                    self._send(namespace.name, self._codec.link, codec.RTM_SETLINK, 0, {"index": index}, attrs)
            raise
        for key in keys:
            self._indexes.pop(key, None)

    def _rename(self, request: RenameLink) -> None:
        index = self._index(request.key)
        self._send(request.key.netns, self._codec.link, codec.RTM_SETLINK, 0, {"index": index}, [["IFLA_IFNAME", request.name]])
        self._indexes.pop(request.key)
        self._indexes[replace(request.key, name=request.name)] = index

    def _set(self, request: SetLink) -> None:
        header, attrs = messages.write_link(request.kind, request.attributes, self._index, request.key)
        # Only RTM_NEWLINK changes the data of a kind, only RTM_SETLINK that of a port.
        kind = codec.RTM_SETLINK if header.get("family") == messages.AF_BRIDGE else codec.RTM_NEWLINK
        self._send(request.key.netns, self._codec.link, kind, 0, {**header, "index": self._index(request.key)}, attrs)

    def _send_altname(self, request: Any) -> None:
        adding = isinstance(request, AddAltname)
        kind, flags = (codec.RTM_NEWLINKPROP, 0xE00) if adding else (codec.RTM_DELLINKPROP, 0)  # CREATE, EXCL and APPEND
        attrs: codec.Attrs = [["IFLA_PROP_LIST", {"attrs": [["IFLA_ALT_IFNAME", request.altname]]}]]
        self._send(request.key.netns, self._codec.link, kind, flags, {"index": self._index(request.key)}, attrs)

    def _send_address(self, request: AddAddress | ReplaceAddress | RemoveAddress) -> None:
        header, attrs = messages.write_address(request.address, self._index(request.key))
        netns, message = request.key.netns, self._codec.address
        if isinstance(request, AddAddress):
            with _unless(errno.EEXIST):
                self._send(netns, message, codec.RTM_NEWADDR, codec.NLM_F_CREATE | codec.NLM_F_EXCL, header, attrs)
        elif isinstance(request, ReplaceAddress):
            self._send(netns, message, codec.RTM_NEWADDR, codec.NLM_F_CREATE | codec.NLM_F_REPLACE, header, attrs)
        else:
            with self._others_stay(request), _unless(errno.EADDRNOTAVAIL):
                self._send(netns, message, codec.RTM_DELADDR, 0, header, attrs)

    @contextlib.contextmanager
    def _others_stay(self, request: RemoveAddress) -> Iterator[None]:
        """The kernel takes the other addresses of a subnet along with its primary one, unless it is told to promote them."""
        namespace, link = self._namespace(request.key.netns), request.key.name
        told = [namespace.read_setting(which, PROMOTE) for which in ("all", link)]
        # Whether it is the primary one now is not known: a secondary one may have taken the place of one that went before.
        if request.address.family == 6 or any(told):
            yield
            return
        namespace.write_setting(link, PROMOTE, 1)
        try:
            yield
        finally:
            namespace.write_setting(link, PROMOTE, told[1] or 0)

    def _await_addresses(self, request: AwaitAddresses) -> None:
        index = self._index(request.key)
        end = time.monotonic() + request.seconds
        while True:
            dump = self._dump(request.key.netns, self._codec.address, codec.RTM_GETADDR, {"family": socket.AF_INET6})
            found = [messages.read_address(part) for part in dump if part["index"] == index]
            ours = [address for address in found if address.ip in request.ips]
            for address in ours:
                if is_duplicate(address):
                    text = (
                        f"{address.ip} is a duplicate: another host on the network of {request.key} has it already. "
                        "Take it off there, or choose another address"
                    )
                    raise RequestFailed(text, errno.EADDRINUSE, text)
            left = [address.ip for address in ours if not address.settled]
            if not left:
                return
            if time.monotonic() > end:
                text = (
                    f"duplicate address detection on {request.key} has not ended after {request.seconds:g} s: "
                    f"{', '.join(left)}. Is there a carrier? Write a larger wait_dad, or none"
                )
                raise RequestFailed(text, errno.ETIMEDOUT, text)
            time.sleep(0.02)

    def _send_route(self, request: AddRoute | ReplaceRoute | RemoveRoute) -> None:
        route, message = request.route, self._codec.route
        header, attrs = messages.write_route(route, self._index(route.link) if route.link else None)
        if isinstance(request, AddRoute):
            with _unless(errno.EEXIST):
                self._send(route.key.netns, message, codec.RTM_NEWROUTE, codec.NLM_F_CREATE | codec.NLM_F_EXCL, header, attrs)
        elif isinstance(request, ReplaceRoute):
            self._send(route.key.netns, message, codec.RTM_NEWROUTE, codec.NLM_F_CREATE | codec.NLM_F_REPLACE, header, attrs)
        else:
            with _unless(errno.ESRCH):
                self._send(route.key.netns, message, codec.RTM_DELROUTE, 0, header, attrs)

    def _send_rule(self, request: AddRule | RemoveRule) -> None:
        header, attrs = messages.write_rule(request.rule)
        netns, message = request.rule.at.netns, self._codec.rule
        if isinstance(request, AddRule):
            # With NLM_F_EXCL, the kernel takes a rule with more selectors for the same one (fib4_rule_compare in
            # net/ipv4/fib_rules.c): so it is not asked whether the rule exists.
            dump = self._dump(netns, message, codec.RTM_GETRULE, {"family": header["family"]})
            if request.rule not in [messages.read_rule(part, netns) for part in dump]:
                self._send(netns, message, codec.RTM_NEWRULE, codec.NLM_F_CREATE, header, attrs)
        else:
            with _unless(errno.ENOENT):
                self._send(netns, message, codec.RTM_DELRULE, 0, header, attrs)


def _with_address(kind: str, attributes: Attributes) -> Attributes:
    """With a random MAC where the kernel would draw one: udev takes that for a provisional one, and puts another in its place
    moments after what was read of the link."""
    if "address" in attributes or not draws_address(kind_of(kind), attributes):
        return attributes
    first, *rest = os.urandom(6)
    return {**attributes, "address": bytes([first & 0xFC | 0x02, *rest]).hex(":")}  # locally administered, of one station


def _group(link: messages.RawLink) -> int:
    number: int = link.attributes["group"]
    return number


@contextlib.contextmanager
def _unless(code: int) -> Iterator[None]:
    """What is so already is no error: whether it is as it should be, the verification tells."""
    try:
        yield
    except NetlinkError as error:
        if error.errno != code:
            raise
