# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little world that the contract of the gateways is about: some links, and short ways to ask a gateway for things."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model import Address, Carried, Link, LinkKey, Route, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import NewLink, Request, SetLink

MODES = ("private", "vepa", "bridge", "passthru", "source")
ONE, TWO, THREE = "02:00:5e:00:00:01", "02:00:5e:00:00:02", "02:00:5e:00:00:03"
MULTICAST = "01:00:5e:00:00:01"
SETTINGS = frozenset({"ipv4.arp_ignore", "ipv6.accept_ra"})

FOUR = Address("192.0.2.1", 24, socket.AF_INET, 0, 0)
SIX = Address("2001:db8::1", 64, socket.AF_INET6, 0x02, 0)  # IFA_F_NODAD: usable at once
UNICAST, STATIC, UNIVERSE, LINK_SCOPE, MAIN = 1, 4, 0, 253, 254  # linux/rtnetlink.h
ROUTE = Route(socket.AF_INET, "198.51.100.0/24", MAIN, UNICAST, LINK_SCOPE, STATIC)
VIA = Route(socket.AF_INET, "203.0.113.0/24", MAIN, UNICAST, UNIVERSE, STATIC, gateway="192.0.2.254")


@dataclass(frozen=True)
class World:
    """A gateway, and a namespace `netns` with a few links, all of them up with an MTU of 1500.

    eth0, eth1: Ethernet links with a carrier; br0: a bridge whose MAC was set; port0: a port of br0. `other` is an empty
    namespace. Nothing else is in the two but the loopback devices.
    """

    gateway: Any  # a Gateway, with what the runner needs beside
    netns: str
    other: str

    def key(self, name: str, netns: str | None = None) -> LinkKey:
        """The key of a link here, or in another namespace."""
        return LinkKey(self.netns if netns is None else netns, name)

    def state(self, *details: LinkKey) -> State:
        """Everything, with addresses, routes and all settings of some links."""
        scope = Scope(namespaces=frozenset({self.netns, self.other}), details=frozenset(details))
        found: State = self.gateway.observe(scope)
        return found

    def find(self, name: str, netns: str | None = None) -> Link | None:
        """A link with some of its settings, or None."""
        key = self.key(name, netns)
        found: State = self.gateway.observe(Scope(frozenset({key}), sysctls={key: SETTINGS}))
        return found.get(key)

    def link(self, name: str, netns: str | None = None) -> Link:
        """A link that is there."""
        found = self.find(name, netns)
        assert found is not None, f"{name} is not there"
        return found

    def get(self, name: str, attribute: str) -> Any:
        """One attribute of a link."""
        return self.link(name).get(attribute)

    def carried(self, name: str) -> Carried:
        """What lives on a link."""
        return self.state(self.key(name)).carried[self.key(name)]

    def addresses(self, name: str) -> set[str]:
        """The addresses that these tests put on a link: the kernel adds some of its own."""
        return {str(item) for item in self.carried(name).addresses} & {str(FOUR), str(SIX)}

    def routes(self, name: str) -> set[str]:
        """The routes that these tests let leave by a link."""
        return {str(item) for item in self.carried(name).routes} & {str(ROUTE), str(VIA)}

    def new(self, name: str, lower: str = "eth0", **attributes: Any) -> NewLink:
        """The request for a macvlan."""
        return NewLink(self.key(name), "macvlan", {"lower_device": self.key(lower), **attributes})

    def create(self, name: str, lower: str = "eth0", **attributes: Any) -> None:
        """Make a macvlan."""
        self.execute(self.new(name, lower, **attributes))

    def bridge(self, name: str, **attributes: Any) -> None:
        """Make a bridge."""
        self.execute(NewLink(self.key(name), "bridge", attributes))

    def pair(self, name: str, peer: str, second: Mapping[str, Any] | None = None, **attributes: Any) -> None:
        """Make a pair, both ends here; `second` is what the other end has."""
        self.execute(NewLink(self.key(name), "veth", attributes, peer=(self.key(peer), second or {})))

    def change(self, name: str, **attributes: Any) -> None:
        """Change a link, in one request."""
        key = self.key(name)
        found = self.find(name)
        self.execute(SetLink(key, found.kind if found else "macvlan", attributes))

    def execute(self, *requests: Request) -> None:
        """Send requests."""
        for request in requests:
            self.gateway.execute(request)

    def names(self) -> set[str]:
        """The names of all links, those of the other namespace with it."""
        return {link.key.name if link.key.netns == self.netns else f"other/{link.key.name}" for link in self.state()}


@contextmanager
def refused(code: int) -> Iterator[None]:
    """The kernel refuses what happens inside, with this errno."""
    with pytest.raises(RequestFailed) as caught:
        yield
    assert errno.errorcode[caught.value.errno] == errno.errorcode[code], caught.value
    assert caught.value.text
    assert str(caught.value).startswith("the kernel refused to ")
