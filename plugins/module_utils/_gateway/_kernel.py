# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's only way to the kernel: `observe` reads and changes nothing, `execute` sends one request."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._addresses import is_duplicate
from ansible_collections.patchbay.netdev.plugins.module_utils._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _disk as disk
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _messages as messages
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._announce import frame
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._clients import serving
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._management import ssh_addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._names import number_of_name
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespaces import (
    Namespace,
    exists,
    in_place_of,
    leave_behind,
    make,
    named,
    processes_in,
    remove,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._socket import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._ip import AF
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import draws_address, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    HERE,
    LOCAL_TABLE,
    RTPROT_KERNEL,
    Address,
    Attributes,
    BootState,
    Connection,
    Link,
    LinkKey,
    Netns,
    NetnsKey,
    Route,
    RouteKey,
    Rule,
    Scope,
    State,
    Wanted,
    is_default,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    DropFile,
    NewLink,
    NewNetns,
    ProveEngine,
    PutFile,
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
    SetLink,
    SetNode,
    Tell,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values import TABLE, NameOrNumber

_RTM_TABLE = 20  # where rtm_table stands in a message, and rtm_protocol behind it (linux/rtnetlink.h)
PROMOTE = "ipv4.promote_secondaries"
_FIRST_GROUP = 0x50420000  # far from the numbers that people choose
_DYING_STEP, _DYING_STEPS = 0.01, 20  # a dying namespace was seen to take 10 to 70 ms
RTEXT_FILTER_SKIP_STATS = 0x8  # linux/rtnetlink.h; any mask also keeps the kernel from cutting a dump at a huge link
# Settings that say nothing of their own: the kernel derives them, keeps them elsewhere, or lets nobody write them.
_NOT_CARRIED = ("ipv4.mc_forwarding", "ipv6.mc_forwarding", "ipv6.mtu", "ipv6.addr_gen_mode", "ipv6.stable_secret")


class KernelGateway:
    """The kernel of this machine, from the namespace that the process runs in. Close it, or use it in a with statement."""

    def __init__(self) -> None:
        """Nothing is opened yet; MissingLibrary when there is no pyroute2."""
        self._codec = codec.Codec()
        self._namespaces: dict[str, Namespace] = {}
        self._indexes: dict[LinkKey, int] = {}
        self._coming: set[str] = set()
        self._staying: set[LinkKey] = set()

    def __enter__(self) -> KernelGateway:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets."""
        for namespace in self._namespaces.values():
            namespace.close()
        self._namespaces.clear()

    # Names in

    def resolve(self, items: Sequence[Wanted]) -> tuple[Wanted, ...]:
        """The items with one name for each namespace, and numbers for the names of groups."""
        self._coming = {item.key.name for item in items if isinstance(item.key, NetnsKey)}
        return tuple(
            item
            if isinstance(item.key, NetnsKey)
            else replace(item, key=self._one_name(item.key), attributes=self._resolved(item))
            for item in items
        )

    def _resolved(self, item: Wanted) -> dict[str, Any]:
        attributes = dict(item.attributes)
        for name in ("lower_device", "peer"):
            if attributes.get(name):
                attributes[name] = self._one_name(attributes[name])
        for row in kind_of(item.kind or "").rows(attributes):
            if isinstance(row.type, NameOrNumber) and isinstance(attributes[row.name], str):
                attributes[row.name] = number_of_name(row.type, attributes[row.name], f"{item.key}: {row.name}")
        return attributes

    def _one_name(self, key: Any) -> Any:
        """The key with the one name of its namespace, and with the number of its table."""
        if isinstance(key, RouteKey) and isinstance(key.table, str):
            key = replace(key, table=number_of_name(TABLE, key.table, f"route to {key.destination}: table"))
        if key.netns in self._coming and not exists(key.netns):
            return key
        return replace(key, netns=self._namespace(key.netns).name)

    def canonical(self, name: str) -> str:
        """The one name of a namespace; Refused when it does not exist."""
        return self._namespace(name).name

    def _namespace(self, name: str) -> Namespace:
        """The open namespace of this name; of several names for one namespace, the first that was used stands for all."""
        if HERE not in self._namespaces:
            self._namespaces[HERE] = Namespace(HERE)
        if name not in self._namespaces:
            opened = Namespace(name)
            for other in self._namespaces.values():
                if other.identity == opened.identity:
                    opened.close()
                    return other
            self._namespaces[name] = opened
        return self._namespaces[name]

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one that can be entered."""
        found = [HERE]
        for name in named():
            try:
                found.append(self._namespace(name).name)
            except Refused:  # a file that was left behind: its namespace is gone
                continue
        return list(dict.fromkeys(found))

    # What is on the disk

    def boot_state(self) -> BootState:
        """The files that bring things back at the next boot, and who reads them."""
        return disk.boot_state()

    def has_declarations(self) -> bool:
        """Whether anything comes back at the next boot."""
        return disk.has_declarations()

    # Reading

    def observe(self, scope: Scope) -> State:
        """Every link of the namespaces that the scope touches, with those that its links sit on."""
        try:
            return self._observe(scope)
        except NetlinkError as error:
            raise RequestFailed(f"the links cannot be read: {error.text}", error.errno, error.text) from error

    def _observe(self, scope: Scope) -> State:
        places = sorted({key.netns for key in scope.links | scope.settings} | scope.namespaces | scope.traffic)
        places = [place for place in places if place not in scope.coming or exists(place)]
        to_read = list(dict.fromkeys(self._namespace(place).name for place in places))
        raw: dict[str, dict[int, messages.RawLink]] = {}
        references: dict[tuple[str, int], str | None] = {}
        links: list[Link] = []
        while to_read:
            netns = to_read.pop(0)
            raw[netns] = self._links_that_stay(netns, scope, references)
            self._namespace(netns).forget()
            self._indexes = {key: index for key, index in self._indexes.items() if key.netns != netns}
            for found in raw[netns].values():
                key = LinkKey(netns, found.name)
                self._indexes[key] = found.index
                if key in scope.links and found.lower and found.lower[1] is not None:
                    elsewhere = self._name_of(netns, found.lower[1], references)
                    if elsewhere is not None and elsewhere not in raw and elsewhere not in to_read:
                        to_read.append(elsewhere)
        routes: list[Route] = []
        rules: list[Rule] = []
        for netns, found_here in raw.items():
            addresses: dict[int, list[Address]] = {}
            if netns in scope.traffic:
                addresses = self._addresses(netns, found_here)
                routes += self._routes(netns, found_here)
                rules += self._rules(netns)
            for found in found_here.values():
                key = LinkKey(netns, found.name)
                values = self._references(netns, found, raw, references)
                if netns in scope.traffic:
                    values["addresses"] = tuple(addresses.get(found.index, ()))
                if key in scope.sysctls:
                    namespace = self._namespace(netns)
                    values["sysctls"] = {
                        setting: namespace.read_setting(found.name, setting) for setting in sorted(scope.sysctls[key])
                    }
                if netns == HERE:
                    values["wireless"] = devices.is_wireless(found.name)
                if found.kind == "macvtap":
                    values.update(devices.read(found.index, self._namespace(netns).tap_numbers().get(found.name)))
                links.append(found.link(key, values))
        settings = {key: self._settings_of(key) for key in sorted(scope.settings) if key in self._indexes}
        spaces = [space for space in map(_space, sorted(scope.coming)) if space]
        return State(links, self._general_settings(scope, settings), settings, spaces, routes, rules)

    def connection(self) -> Connection:
        """The links that have our address of the ssh connection or lead to the client; without ssh, those of default routes."""
        ssh = ssh_addresses()
        if ssh is None:
            names = {index: link.name for index, link in self._dump_links(self._namespace(HERE)).items()}
            ways = [route for route in self._routes(HERE, names) if is_default(route)]
            links = dict.fromkeys(link for route in ways for link in route.links)
            ipv6 = all(route.key.family == 6 for route in ways)
            return Connection(tuple(links), "the way out of it (the default route)", ipv6)
        client, server = ssh
        dump = self._dump(HERE, self._codec.address, codec.RTM_GETADDR, {})
        indexes = [address["index"] for address in dump if messages.read_address(address).ip == server]
        indexes += self._links_to(client)
        return Connection(self._keys_here(indexes), f"the connection from {client}", ":" in client, client, server)

    def _keys_here(self, indexes: Sequence[int]) -> tuple[LinkKey, ...]:
        self._namespace(HERE)
        names = {link.index: link.name for link in self._dump_links(self._namespace(HERE)).values()} if indexes else {}
        return tuple(LinkKey(HERE, names[index]) for index in dict.fromkeys(indexes) if index in names)

    def _links_to(self, address: str) -> list[int]:
        """The link that a packet to an address leaves by."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        header = {"family": family, "dst_len": 128 if family == socket.AF_INET6 else 32}
        request = self._codec.encode(self._codec.route, codec.RTM_GETROUTE, 0, header, [["RTA_DST", address]])
        try:
            parts = self._namespace(HERE).socket.request(request)
        except NetlinkError:  # unreachable
            return []
        found = (self._codec.decode(self._codec.route, part).get("RTA_OIF") for part in parts)
        return [index for index in found if index]

    def _dump(self, netns: str, message: Any, kind: int, header: dict[str, int]) -> list[codec.Decoded]:
        request = self._codec.encode(message, kind, codec.NLM_F_DUMP, header, [])
        return [self._codec.decode(message, part) for part in self._namespace(netns).socket.dump(request)]

    def _addresses(self, netns: str, links: dict[int, messages.RawLink]) -> dict[int, list[Address]]:
        """By index of the link, in the order of the kernel: of IPv4, the primary ones first."""
        clients = serving((link.name for link in links.values()), self._namespace(netns).identity)
        found: dict[int, list[Address]] = {}
        for part in self._dump(netns, self._codec.address, codec.RTM_GETADDR, {}):
            index = part["index"]
            name = links[index].name if index in links else ""
            found.setdefault(index, []).append(messages.read_address(part, name, clients.get(name)))
        return {index: _told_apart(some) for index, some in found.items()}

    def _routes(self, netns: str, links: Mapping[int, Any]) -> list[Route]:
        """Those of all tables, but for what the kernel derives for itself from addresses, which is most of them."""

        def name_of(index: int) -> str:
            link = links.get(index)
            return str(getattr(link, "name", link)) if link else f"(link {index})"

        found = []
        for family in AF.values():
            request = self._codec.encode(self._codec.route, codec.RTM_GETROUTE, codec.NLM_F_DUMP, {"family": family}, [])
            for part in self._namespace(netns).socket.dump(request):
                table, protocol = part[_RTM_TABLE : _RTM_TABLE + 2]  # looked at before the costly decoding
                if (table, protocol) != (LOCAL_TABLE, RTPROT_KERNEL):
                    found.append(messages.read_route(self._codec.decode(self._codec.route, part), netns, name_of))
        return found

    def _rules(self, netns: str) -> list[Rule]:
        return [
            messages.read_rule(part, netns)
            for family in AF.values()
            for part in self._dump(netns, self._codec.rule, codec.RTM_GETRULE, {"family": family})
        ]

    def _dump_links(self, namespace: Namespace) -> dict[int, messages.RawLink]:
        request = self._codec.encode(
            self._codec.link, codec.RTM_GETLINK, codec.NLM_F_DUMP, {}, [["IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS]]
        )
        found = [messages.read_link(self._codec.decode(self._codec.link, part)) for part in namespace.socket.dump(request)]
        return {link.index: link for link in found}

    def _links_that_stay(
        self, netns: str, scope: Scope, references: dict[tuple[str, int], str | None]
    ) -> dict[int, messages.RawLink]:
        """The links of a namespace, once those are gone that hang on a namespace which is dying.

        A namespace that has no name any more may live on for good (a container's), so the wait has an end, and is not repeated.
        """
        for step in range(_DYING_STEPS):
            found = self._dump_links(self._namespace(netns))
            unsure = {
                LinkKey(netns, link.name)
                for link in found.values()
                if LinkKey(netns, link.name) in scope.links
                and link.lower
                and link.lower[1] is not None
                and self._name_of(netns, link.lower[1], references) is None
            }
            if unsure <= self._staying:
                return found
            if step + 1 < _DYING_STEPS:
                time.sleep(_DYING_STEP)
        self._staying |= unsure
        return found

    def _references(
        self,
        netns: str,
        found: messages.RawLink,
        raw: dict[str, dict[int, messages.RawLink]],
        references: dict[tuple[str, int], str | None],
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, other in found.numbers.items():
            values[name] = raw[netns][other].name if other in raw[netns] else f"(link {other})"
        if found.lower is None:
            return values
        index, number = found.lower
        place = netns if number is None else self._name_of(netns, number, references)
        if place is None:  # a namespace that has no name
            values[found.reference] = LinkKey(f"(unnamed namespace {number})", f"(link {index})")
        elif place in raw:
            lower = raw[place].get(index)
            values[found.reference] = LinkKey(place, lower.name) if lower else None
        else:
            values[found.reference] = LinkKey(place, self._name_by_index(place, index))
        return values

    def _name_of(self, netns: str, number: int, known: dict[tuple[str, int], str | None]) -> str | None:
        """The name of the namespace that is called by this number here; None when it has no name."""
        if (netns, number) not in known:
            here = self._namespace(netns)
            known[(netns, number)] = None
            for name in dict.fromkeys([*self._namespaces, *self.all_namespaces()]):
                if here.number_of(self._namespace(name)) == number:
                    known[(netns, number)] = name
                    break
        return known[(netns, number)]

    def _name_by_index(self, netns: str, index: int) -> str:
        return self._found_by_index(netns, index) or f"(link {index})"

    def _found_by_index(self, netns: str, index: int) -> str | None:
        request = self._codec.encode(self._codec.link, codec.RTM_GETLINK, 0, {"index": index}, [])
        try:
            (part,) = self._namespace(netns).socket.request(request)
        except NetlinkError:
            return None
        return str(self._codec.decode(self._codec.link, part).get("IFLA_IFNAME"))

    def _general_settings(self, scope: Scope, known: dict[LinkKey, dict[str, int]]) -> dict[tuple[str, str, str], int | None]:
        """Those of `all` and `default`, for every setting that was read of a link."""
        wanted = {(key.netns, setting) for key, settings in scope.sysctls.items() for setting in settings}
        wanted |= {(key.netns, setting) for key, settings in known.items() for setting in settings}
        return {
            (netns, which, setting): self._namespace(netns).read_setting(which, setting)
            for netns, setting in sorted(wanted)
            if netns not in scope.coming or exists(netns)
            for which in ("all", "default")
        }

    def _settings_of(self, key: LinkKey) -> dict[str, int]:
        """All settings of one link."""
        namespace = self._namespace(key.netns)
        names = [name for name in sorted(namespace.settings_of(key.name)) if name not in _NOT_CARRIED]
        found = {name: namespace.read_setting(key.name, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    # Writing

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
                with self._namespace(request.key.netns).packet_socket(request.key.name) as packets:
                    mac = packets.getsockname()[4]
                    for ip in request.ips:
                        packets.send(frame(mac, ip))
            elif isinstance(request, (AddRoute, ReplaceRoute, RemoveRoute)):
                self._send_route(request)
            elif isinstance(request, (PutFile, DropFile, Tell, ProveEngine)):
                disk.execute(request)
            else:
                self._send_rule(request)
        except NetlinkError as error:
            raise RequestFailed(f"the kernel refused to {request}: {error.text}", error.errno, error.text) from error
        except OSError as error:
            text = str(error.strerror)
            if isinstance(request, (PutFile, DropFile, Tell, ProveEngine)):
                raise RequestFailed(f"it was not possible to {request}: {text}", error.errno or 0, text) from error
            raise RequestFailed(f"the kernel refused to {request}: {text}", error.errno or 0, text) from error

    def _forget(self, name: str) -> None:
        """Close a namespace, which lives on as long as anybody has it open."""
        opened = self._namespaces.pop(name, None)
        if opened is not None:
            opened.close()
        self._indexes = {key: index for key, index in self._indexes.items() if key.netns != name}

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
        netns, message = request.rule.key.netns, self._codec.rule
        if isinstance(request, AddRule):
            with _unless(errno.EEXIST):
                self._send(netns, message, codec.RTM_NEWRULE, codec.NLM_F_CREATE | codec.NLM_F_EXCL, header, attrs)
        else:
            with _unless(errno.ENOENT):
                self._send(netns, message, codec.RTM_DELRULE, 0, header, attrs)

    def _send(self, netns: str, message: Any, kind: int, flags: int, header: Any, attrs: codec.Attrs) -> None:
        self._namespace(netns).socket.request(self._codec.encode(message, kind, flags, header, attrs))

    def _index(self, key: LinkKey) -> int:
        """The index of a link: as observed, so that a link that was replaced meanwhile is not mistaken for it."""
        if key not in self._indexes:
            attr = "IFLA_IFNAME"
            request = self._codec.encode(self._codec.link, codec.RTM_GETLINK, 0, {}, [[attr, key.name]])
            (part,) = self._namespace(key.netns).socket.request(request)
            found = self._codec.decode(self._codec.link, part)
            if found.get(attr) != key.name:  # an alternative name of another link
                raise NetlinkError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._indexes[key] = found["index"]
        return self._indexes[key]


def _with_address(kind: str, attributes: Attributes) -> Attributes:
    """With a random MAC where the kernel would draw one: udev takes that for a provisional one, and puts another in its place
    moments after what was read of the link."""
    if "address" in attributes or not draws_address(kind, attributes):
        return attributes
    first, *rest = os.urandom(6)
    return {**attributes, "address": bytes([first & 0xFC | 0x02, *rest]).hex(":")}  # locally administered, of one station


def _space(name: str) -> Netns | None:
    if exists(name):
        return Netns(NetnsKey(name), processes_in(name))
    instead = in_place_of(name)
    return Netns(NetnsKey(name), instead=instead) if instead else None


def _told_apart(addresses: list[Address]) -> list[Address]:
    """Where the client of a link gave its address the lifetime of the lease, the others are not its own. udhcpc never does."""
    leased = any(one.family == 4 and one.valid is not None for one in addresses)
    if not leased or any((one.client or "").startswith("udhcpc") for one in addresses):
        return addresses
    return [replace(one, client=None) for one in addresses]


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
