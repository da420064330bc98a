# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that the engine is about: immutable, without I/O, and free of anything of Ansible or pyroute2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union

HERE = ""  # the network namespace that the task runs in, wherever a namespace is named
PHYSICAL = "physical"  # the kind of a link for which the kernel names none

Attributes = Mapping[str, Any]  # option name -> normal form; a missing name is not managed (wanted) or not known (observed)


@dataclass(frozen=True, order=True)
class LinkKey:
    """What makes a link itself: where it is, and its name."""

    netns: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} in netns {self.netns}" if self.netns else self.name


@dataclass(frozen=True, order=True)
class NetnsKey:
    """What makes a named network namespace itself."""

    name: str

    def __str__(self) -> str:
        return f"netns {self.name}"


Key = Union[LinkKey, NetnsKey]
LEFT_BEHIND = "an empty file"  # what stays of a namespace after a crash, when only its mount is gone


@dataclass(frozen=True)
class Netns:
    """A named network namespace; processes: the ids of those that live in it.

    instead: what is in its place, if that is no namespace: LEFT_BEHIND, or in words what nobody but its owner may take away.
    """

    key: NetnsKey
    processes: tuple[int, ...] = ()
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.instead} in the place of {self.key}" if self.instead else str(self.key)


@dataclass(frozen=True)
class Address:
    """An IP address on a link, as the kernel reports it; `flags` are IFA_F_*, lifetimes in seconds."""

    ip: str
    prefix_length: int
    family: int
    flags: int
    scope: int
    peer_ip: str | None = None
    broadcast: str | None = None
    label: str | None = None
    metric: int | None = None
    protocol: int | None = None
    preferred: int | None = None
    valid: int | None = None

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


@dataclass(frozen=True)
class Route:
    """A route that leaves by a link, as the kernel reports it; numbers are the kernel's (rtnetlink.h)."""

    family: int
    destination: str
    table: int
    type: int
    scope: int
    protocol: int
    tos: int = 0
    onlink: bool = False
    metric: int | None = None
    gateway: str | None = None
    source: str | None = None
    metrics: tuple[tuple[str, int], ...] = ()
    plain: bool = True  # False: more than one next hop, a nexthop object, an encapsulation...: cannot be written again from this

    def __str__(self) -> str:
        text = f"{self.destination} via {self.gateway}" if self.gateway else self.destination
        return text if self.table == 254 else f"{text} table {self.table}"


@dataclass(frozen=True)
class Carried:
    """What lives on a link and dies with it: read only for links that a plan endangers."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A link as observed, or as predicted; `attributes` by option name, in normal form, None or missing when not known.

    index is None for a link that is only predicted. `ethernet` is false for a loopback or a device without Ethernet
    headers. carrier is None when it is not known. oper_state is the kernel's (RFC 2863, lower case).
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    ethernet: bool = True
    carrier: bool | None = True
    oper_state: str | None = None

    def get(self, name: str) -> Any:
        """The value of an attribute; None when it is not known."""
        return self.attributes.get(name)

    def with_attributes(self, changes: Attributes) -> Link:
        """The same link after these attributes changed."""
        return replace(self, attributes={**self.attributes, **changes})


@dataclass(frozen=True)
class Wanted:
    """One desired link, or namespace; `attributes` are those that were written, in normal form.

    kind None: a view of whatever link is there, which is neither created nor deleted.
    asserted: attributes that have to be so already, and are not changed.
    leads: of the two ends of a pair, the one that is planned first.
    force: a namespace goes although processes live in it.
    allow_wireless: a lower device may be wireless.
    origin: where in the input it was written, for error messages.
    """

    key: Any  # LinkKey, or NetnsKey with kind "netns"
    kind: str | None
    present: bool
    attributes: Attributes
    recreate: bool = False
    lower_device_state: str | None = None
    asserted: Attributes = field(default_factory=dict)
    leads: bool = False
    force: bool = False
    allow_wireless: bool = False
    origin: str = ""


@dataclass(frozen=True)
class Scope:
    """What an observation must hold: every link of the namespaces it touches, and more of some links.

    namespaces: those to read beside the ones of the links. coming: those that need not be there. sysctls: the settings to
    read per link. details: links whose addresses, routes and all settings are read as well.
    """

    links: frozenset[LinkKey] = frozenset()
    namespaces: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    sysctls: Mapping[LinkKey, frozenset[str]] = field(default_factory=dict)
    details: frozenset[LinkKey] = frozenset()


@dataclass(frozen=True)
class Connection:
    """How the task reaches this host: the links of its own namespace that carry that, and words for a message.

    ipv6: whether it is by IPv6, without which nothing is left of it.
    """

    links: tuple[LinkKey, ...] = ()
    said: str = ""
    ipv6: bool = False


class State:
    """The links of some namespaces; the planner works on a copy that it changes operation by operation.

    sysctls: value of `conf/all` and `conf/default` per (netns, "all" or "default", key); None when the kernel has no such key.
    carried: per link of Scope.details.
    """

    def __init__(
        self,
        links: Iterable[Link] = (),
        sysctls: Mapping[tuple[str, str, str], int | None] | None = None,
        carried: Mapping[LinkKey, Carried] | None = None,
        namespaces: Iterable[Netns] = (),
    ) -> None:
        self._links: dict[LinkKey, Link] = {}
        self._above: dict[LinkKey, dict[LinkKey, None]] = {}  # lower device -> what sits on it, in order
        self._attached: dict[LinkKey, dict[LinkKey, None]] = {}  # controller -> what is attached to it
        self._owners: dict[LinkKey, LinkKey] = {}  # alternative name -> the link that has it
        self._sharing: dict[tuple[LinkKey, str], dict[LinkKey, None]] = {}  # lower device and MAC -> who has it there
        self.sysctls = dict(sysctls or {})
        self.carried = dict(carried or {})
        self.namespaces: dict[NetnsKey, Netns] = {netns.key: netns for netns in namespaces}
        self.update({link.key: link for link in links})

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def copy(self) -> State:
        """A state that can be changed without changing this one."""
        return State(self, self.sysctls, self.carried, self.namespaces.values())

    def update(self, changes: Mapping[Any, Any]) -> None:
        """Put links and namespaces in the place of those with their keys; None takes one out."""
        for key, link in changes.items():
            if isinstance(key, NetnsKey):
                self.namespaces.pop(key, None)
                if link is not None:
                    self.namespaces[key] = link
                continue
            self._index(self._links.get(key), add=False)
            if link is None:
                self._links.pop(key, None)
            else:
                self._links[key] = link
                self._index(link, add=True)

    def _index(self, link: Link | None, add: bool) -> None:
        if link is None:
            return
        lower = link.get("lower_device")
        places: list[tuple[dict[Any, dict[LinkKey, None]], Any]] = []
        if lower:
            places = [(self._above, lower), (self._sharing, (lower, link.get("address")))]
        if link.get("controller"):
            places.append((self._attached, LinkKey(link.key.netns, link.get("controller"))))
        for index, place in places:
            members = index.setdefault(place, {})
            if add:
                members[link.key] = None
            else:
                members.pop(link.key, None)
        for altname in link.get("altnames") or ():
            if add:
                self._owners[LinkKey(link.key.netns, altname)] = link.key
            else:
                self._owners.pop(LinkKey(link.key.netns, altname), None)

    def get(self, key: LinkKey | None) -> Link | None:
        """The link with that key (a name, not an alternative one), or None."""
        return self._links.get(key) if key else None

    def owner_of_altname(self, key: LinkKey) -> LinkKey | None:
        """The link that has this name as an alternative one, or None."""
        return self._owners.get(key)

    def above(self, lower: LinkKey) -> list[Link]:
        """The links that sit directly on a lower device, in every namespace that was observed."""
        return [self._links[key] for key in self._above.get(lower, {})]

    def attached(self, controller: LinkKey) -> list[Link]:
        """The links that are attached to a controller: the ports of a bridge."""
        return [self._links[key] for key in self._attached.get(controller, {})]

    def sharing(self, lower: LinkKey, address: str) -> list[Link]:
        """The links on a lower device that have this MAC."""
        return [self._links[key] for key in self._sharing.get((lower, address), {})]

    def lower_of(self, key: LinkKey) -> LinkKey:
        """The device that a macvlan with this lower device really sits on.

        The kernel flattens: a macvlan on a macvlan sits on the lower device of that one.
        """
        link = self.get(key)
        while link is not None and link.kind in ("macvlan", "macvtap") and link.get("lower_device"):
            key = link.get("lower_device")
            link = self.get(key)
        return key
