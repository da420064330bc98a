# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the kernel: links with their settings, addresses, routes, rules, and the connection of the task."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _dhcp as dhcp
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._clients import serving
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _messages as messages
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._access import Access
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._management import ssh_addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import exists, in_place_of, processes_in
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, Link, LinkKey, Netns, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    LOCAL_TABLE,
    RTPROT_KERNEL,
    Route,
    Rule,
    is_default,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, Scope, State

_RTM_TABLE = 20  # where rtm_table stands in a message, and rtm_protocol behind it (linux/rtnetlink.h)
_DYING_STEP, _DYING_STEPS = 0.01, 20  # a dying namespace was seen to take 10 to 70 ms
# Settings that say nothing of their own: the kernel derives them, keeps them elsewhere, or lets nobody write them.
_NOT_CARRIED = ("ipv4.mc_forwarding", "ipv6.mc_forwarding", "ipv6.mtu", "ipv6.addr_gen_mode", "ipv6.stable_secret")


class Reading(Access):
    """Reads, and changes nothing."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._staying: set[LinkKey] = set()

    def observe(self, scope: Scope) -> State:
        """Every link of the namespaces that the scope touches, with those that its links sit on."""
        try:
            return self._observe(scope)
        except NetlinkError as error:
            raise RequestFailed(f"the links cannot be read: {error.text}", error.errno, error.text) from error

    def _observe(self, scope: Scope) -> State:
        records = self._client_records()
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
            clients: dict[str, str] = {}
            if netns in scope.traffic:
                clients = serving((link.name for link in found_here.values()), self._namespace(netns).identity)
                by_networkd = {
                    key.name: "systemd-networkd"
                    for key, record in records.items()
                    if key.netns == netns and record["networkd"] is not None
                }
                addresses = self._addresses(netns, found_here, {**by_networkd, **clients})
                routes += self._routes(netns, found_here)
                rules += self._rules(netns)
            for found in found_here.values():
                key = LinkKey(netns, found.name)
                values = self._references(netns, found, raw, references)
                if netns in scope.traffic:
                    values["addresses"] = tuple(addresses.get(found.index, ()))
                    if found.name in clients:
                        values["served_by"] = clients[found.name]
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
        return State(links, self._general_settings(scope, settings), settings, spaces, routes, rules, self._clients(records, raw))

    def links_with_client(self) -> Collection[LinkKey]:
        """The links that have a DHCP client of ours."""
        return self._client_records().keys()

    def _client_records(self) -> dict[LinkKey, Mapping[str, Any]]:
        """What is known of the DHCP clients that are ours, by their links."""
        found: dict[LinkKey, Mapping[str, Any]] = {}
        for key, record in dhcp.known():
            if key.netns == HERE and not dhcp.is_here(record, self._namespace(HERE).identity):
                continue
            with contextlib.suppress(Refused):  # one whose namespace has gone keeps its name
                key = replace(key, netns=self._namespace(key.netns).name)
            found[key] = record
        return found

    def _clients(
        self, records: Mapping[LinkKey, Mapping[str, Any]], raw: Mapping[str, Mapping[int, messages.RawLink]]
    ) -> list[Client]:
        """Those of the namespaces that were read, and of those that have gone."""
        found = []
        for key, record in records.items():
            links = {link.name: (link.index, link.attributes.get("address")) for link in raw.get(key.netns, {}).values()}
            if key.netns in raw or not exists(key.netns):
                found.append(dhcp.client(ClientKey(key), record, links.get(key.name)))
        return found

    def connection(self) -> Connection:
        """The links that have our address of the ssh connection or lead to the client; without ssh, those of default routes."""
        ssh = ssh_addresses()
        if ssh is None:
            names = {index: link.name for index, link in self._dump_links(self._namespace(HERE)).items()}
            ways = [route for route in self._routes(HERE, names) if is_default(route)]
            links = dict.fromkeys(link for route in ways for link in route.links)
            ipv6 = all(route.key.family == 6 for route in ways)
            return Connection(tuple(links), "the default route", ipv6)
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

    def _addresses(self, netns: str, links: dict[int, messages.RawLink], clients: Mapping[str, str]) -> dict[int, list[Address]]:
        """By index of the link, in the order of the kernel: of IPv4, the primary ones first."""
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


def _space(name: str) -> Netns | None:
    if exists(name):
        ours = dhcp.processes()  # which end before the namespace goes
        return Netns(NetnsKey(name), tuple(process for process in processes_in(name) if process not in ours))
    instead = in_place_of(name)
    return Netns(NetnsKey(name), instead=instead) if instead else None


def _told_apart(addresses: list[Address]) -> list[Address]:
    """Where the client of a link gave its address the lifetime of the lease, the others are not its own. udhcpc never does."""
    leased = any(one.family == 4 and one.valid is not None for one in addresses)
    if not leased or any((one.client or "").startswith("udhcpc") for one in addresses):
        return addresses
    return [replace(one, client=None) for one in addresses]
