# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixture of the gateways' contract: some links, and short ways to send requests to a gateway."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey, Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    NewLink,
    RemoveAddress,
    Request,
    SetLink,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD

MODES = ("private", "vepa", "bridge", "passthru", "source")
ONE, TWO, THREE = "02:00:5e:00:00:01", "02:00:5e:00:00:02", "02:00:5e:00:00:03"
MULTICAST = "01:00:5e:00:00:01"
SETTINGS = frozenset({"ipv4.arp_ignore", "ipv6.accept_ra", "ipv6.disable_ipv6"})


def static(text: str, flags: int | None = None, **rest: Any) -> Address:
    """`192.0.2.1/24` or `2001:db8::1/64` to put on a link; of IPv6 without duplicate address detection, unless told otherwise."""
    ip, _slash, length = text.partition("/")
    family = 6 if ":" in ip else 4
    return Address(ip, int(length), family, (NODAD if family == 6 else 0) if flags is None else flags, **rest)


FOUR, SIX = static("192.0.2.1/24"), static("2001:db8::1/64")
DIRECT, VIA = "198.51.100.0/24", "203.0.113.0/24"  # a network on a link, and one behind 192.0.2.254


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

    def state(self, *settings: LinkKey) -> State:
        """Everything, with all settings of some links."""
        both = frozenset({self.netns, self.other})
        observed: State = self.gateway.observe(Scope(namespaces=both, settings=frozenset(settings), routing=both))
        return observed

    def find(self, name: str, netns: str | None = None) -> Link | None:
        """A link with some of its settings, or None."""
        key = self.key(name, netns)
        observed: State = self.gateway.observe(Scope(frozenset({key}), sysctls={key: SETTINGS}))
        return observed.get(key)

    def link(self, name: str, netns: str | None = None) -> Link:
        """A link that exists."""
        link = self.find(name, netns)
        assert link is not None, f"{name} does not exist"
        return link

    def get(self, name: str, attribute: str) -> Any:
        """One attribute of a link."""
        return self.link(name).get(attribute)

    def awaited(self, name: str, attribute: str, value: object) -> bool:
        """Whether an attribute gets a value that the kernel sets by itself, as when a carrier comes. Wait up to 5 seconds."""
        end = time.monotonic() + 5
        while self.get(name, attribute) != value:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def contents_of(self, name: str) -> LinkContents:
        """The contents of a link."""
        return self.state(self.key(name)).contents_of(self.key(name))

    def neighbors(self, name: str) -> tuple[Neighbor, ...]:
        """The permanent neighbors of a link."""
        return self.contents_of(name).neighbors

    def addresses(self, name: str) -> list[str]:
        """The addresses of a link, but for those of IPv6 that the kernel makes, which are link-local."""
        return sorted(
            str(address)
            for address in self.contents_of(name).addresses
            if address.protocol != 3 and not address.ip.startswith("fe80:")
        )

    def address(self, name: str, ip: str) -> Address:
        """One address of a link."""
        (address,) = (candidate for candidate in self.contents_of(name).addresses if candidate.ip == ip)
        return address

    def routes(self, name: str) -> list[str]:
        """The routes that leave by a link, but for those of IPv6 to link-local and multicast addresses."""
        routes = (route for route in self.contents_of(name).routes if not route.key.destination.startswith(("fe80:", "ff00:")))
        return sorted(str(replace(route, key=replace(route.key, netns=""))) for route in routes)

    def route(self, destination: str, name: str | None = None, metric: int | None = None, **attributes: Any) -> Route:
        """A route here; by its type and scope as the planner completes it."""
        family = 6 if ":" in destination else 4
        table = attributes.pop("table", 254)
        rejects = attributes.get("type") in ("blackhole", "unreachable", "prohibit", "throw")
        scope = "global" if family == 6 or rejects or "gateway" in attributes else "link"
        known = {"type": "unicast", **({"link": name} if name else {}), "scope": scope, "onlink": False, **attributes}
        metric = (1024 if family == 6 else 0) if metric is None else metric
        return Route(RouteKey(self.netns, table, family, destination, metric), known)

    def at(self, destination: str, table: int = 254, metric: int | None = None) -> list[Route]:
        """The routes at a key, in the order of the kernel."""
        return list(self.state().at(self.route(destination, table=table, metric=metric).key))

    def rule(self, priority: int = 100, family: int = 4, protocol: int = 4, **parts: Any) -> Rule:
        """A policy rule here, whose selectors that are words of Python end with an underscore."""
        given = {"action": "lookup", "table": 500, **{name.rstrip("_"): value for name, value in parts.items()}}
        known = {name: value for name, value in given.items() if value is not None}
        return Rule(RulePriority(self.netns, family, priority), known, protocol)

    def rules(self, priority: int = 100, family: int = 4) -> list[Rule]:
        """The rules of a priority, in the order of the kernel."""
        return list(self.state().rules.get(RulePriority(self.netns, family, priority), ()))

    def give(self, name: str, *addresses: Address | str) -> None:
        """Add addresses to a link."""
        self.execute(
            *(AddAddress(self.key(name), static(address) if isinstance(address, str) else address) for address in addresses)
        )

    def take(self, name: str, ip: str) -> None:
        """Remove an address from a link, as it is observed."""
        self.execute(RemoveAddress(self.key(name), self.address(name, ip)))

    def new(self, name: str, lower: str = "eth0", **attributes: Any) -> NewLink:
        """The request for a macvlan."""
        return NewLink(self.key(name), "macvlan", {"lower_device": self.key(lower), **attributes})

    def create(self, name: str, lower: str = "eth0", **attributes: Any) -> None:
        """Create a macvlan."""
        self.execute(self.new(name, lower, **attributes))

    def bridge(self, name: str, **attributes: Any) -> None:
        """Create a bridge."""
        self.execute(NewLink(self.key(name), "bridge", attributes))

    def pair(self, name: str, peer: str, second: Mapping[str, Any] | None = None, **attributes: Any) -> None:
        """Create a pair, both ends here; `second` is what the other end has."""
        self.execute(NewLink(self.key(name), "veth", attributes, peer=(self.key(peer), second or {})))

    def change(self, name: str, **attributes: Any) -> None:
        """Change a link, in one request."""
        key = self.key(name)
        link = self.find(name)
        self.execute(SetLink(key, link.kind if link else "macvlan", attributes))

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
