# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that the engine is about: immutable, without I/O, and free of anything of Ansible or pyroute2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._ip import DEFAULT, family_of, network
from ansible_collections.patchbay.netdev.plugins.module_utils._lease import Lease

HERE = ""  # the network namespace that the task runs in, wherever a namespace is named
PHYSICAL = "physical"  # the kind of a link for which the kernel names none
MAIN_TABLE, LOCAL_TABLE = 254, 255  # linux/rtnetlink.h
RTPROT_KERNEL, RTPROT_RA = 2, 9  # who made a route, there too

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


@dataclass(frozen=True, order=True)
class RouteKey:
    """What makes a route itself. destination: `192.0.2.0/24`, the default as `0.0.0.0/0` or `::/0`; family: 4 or 6.

    table: a number (a name only before the gateway has resolved it); metric: the kernel's, which for IPv6 is 1024 when none
    is written.
    """

    netns: str
    table: Any
    family: int
    destination: str
    metric: int
    tos: int = 0

    def __str__(self) -> str:
        words = [f"route to {self.destination}"]
        words += [] if self.table == MAIN_TABLE else [f"table {self.table}"]
        words += [] if self.metric == (1024 if self.family == 6 else 0) else [f"metric {self.metric}"]
        return " ".join([*words, *([f"in netns {self.netns}"] if self.netns else [])])


@dataclass(frozen=True, order=True)
class RuleKey:
    """What makes a policy rule itself: its priority, which the kernel lets several rules share, and we do not. family: 4 or 6."""

    netns: str
    family: int
    priority: int

    def __str__(self) -> str:
        text = f"IPv{self.family} rule {self.priority}"
        return f"{text} in netns {self.netns}" if self.netns else text


@dataclass(frozen=True, order=True)
class ClientKey:
    """What makes a DHCP client itself: the link that it serves."""

    link: LinkKey

    def __str__(self) -> str:
        return f"DHCP client of {self.link}"


Key = Union[LinkKey, NetnsKey, RouteKey, RuleKey, ClientKey]
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
    """An IP address on a link; family 4 or 6, `flags` are IFA_F_*, lifetimes in seconds (None: for ever).

    A wanted one has None for what was not written, and "" or 0 for what it is not to have; one that the kernel reports has None
    for what it does not say.
    client: a DHCP client that serves the link, where its address looks like a static one.
    unset: of a wanted one, the flags that it must not have.
    """

    ip: str
    prefix_length: int
    family: int
    flags: int = 0
    scope: int = 0
    peer_ip: str | None = None
    broadcast: str | None = None
    label: str | None = None
    metric: int | None = None
    protocol: int | None = None
    preferred: int | None = None
    valid: int | None = None
    client: str | None = None
    unset: int = 0

    @property
    def settled(self) -> bool:
        """Whether duplicate address detection has passed it."""
        return not self.flags & 0x48  # tentative, or found to be a duplicate (linux/if_addr.h)

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


@dataclass(frozen=True)
class Route:
    """A route: `attributes` by option name, in normal form (a missing one: not known), protocol: who made it (RTPROT_*).

    metrics: those of the kernel (`RTAX_*`) for which there is no option. hops: the links of several next hops.
    plain: False for more than one next hop, a nexthop object, an encapsulation: it cannot be written again from this.
    """

    key: RouteKey
    attributes: Attributes
    protocol: int = 4  # static
    metrics: tuple[tuple[str, int], ...] = ()
    hops: tuple[str, ...] = ()
    plain: bool = True

    def get(self, name: str) -> Any:
        """The value of an attribute; None when it has none."""
        return self.attributes.get(name)

    @property
    def link(self) -> LinkKey | None:
        """The link that it leaves by; None when it leaves by none or by several."""
        return LinkKey(self.key.netns, self.attributes["link"]) if self.attributes.get("link") else None

    @property
    def links(self) -> tuple[LinkKey, ...]:
        """All links that it leaves by."""
        return (self.link,) if self.link else tuple(LinkKey(self.key.netns, name) for name in self.hops)

    def __str__(self) -> str:
        return f"{self.key} via {self.get('gateway')}" if self.get("gateway") else str(self.key)


def is_default(route: Route) -> bool:
    """Whether it is a default route of the main table, out of the namespace that the task runs in."""
    key = route.key
    leads_out = bool(route.links or route.get("gateway"))
    return leads_out and (key.netns, key.table, key.destination) == (HERE, MAIN_TABLE, DEFAULT[key.family])


@dataclass(frozen=True)
class Rule:
    """A policy rule: `attributes` by option name, in normal form; one that it does not have is missing. protocol: RTPROT_*.

    plain: False when it has parts that no option says, so that it cannot be written again from this.
    """

    key: RuleKey
    attributes: Attributes
    protocol: int = 4  # static
    plain: bool = True

    def get(self, name: str) -> Any:
        """The value of an attribute; None when it has none."""
        return self.attributes.get(name)

    def hit(self, some: Iterable[Rule]) -> Rule | None:
        """Of rules of its priority, the one that the kernel deletes when it is shown this one: the first that has all its parts,
        whatever it has besides."""
        return next((one for one in some if one._has_all_parts_of(self)), None)

    def _has_all_parts_of(self, shown: Rule) -> bool:
        parts = dict(shown.attributes)
        mark = parts.pop("fwmark", None)
        if mark is not None:  # a mark of 0 is none to the kernel, and only the masks have to be the same
            found = self.get("fwmark")
            if found is None or found[1] != mark[1] or mark[0] not in (0, found[0]):
                return False
        return shown.protocol in (0, self.protocol) and parts.items() <= self.attributes.items()

    def __str__(self) -> str:
        return str(self.key)


@dataclass(frozen=True)
class Dhcp4:
    """What a DHCP client is to do for a link.

    client_id: `none`, `mac`, `duid`, or the bytes of one as `01:52:54:...`. hostname, vendor_class: None sends none.
    table: where the routes of the lease go, with a rule of that priority for packets from its address; None: the address only.
    client: the program that does it; of a wanted one, None where that was not written. use_dns: tell the resolver of its servers.
    """

    enabled: bool = True
    client_id: str = "none"
    hostname: str | None = None
    vendor_class: str | None = None
    table: Any = None  # a name only before the gateway has resolved it
    rule_priority: int | None = None
    metric: int | None = None
    use_routes: bool = True
    client: str | None = None
    use_dns: bool = False


@dataclass(frozen=True)
class Client:
    """The DHCP client of a link: what it was started with, and what it has told.

    lease: what it has, which holds for so many seconds (left). former: leases of which something may still be there. lives:
    whether it runs. fits: whether the link that is there is the one that it was started for, with the same MAC address.
    settled: whether it has a lease, and all that comes of it is there.
    """

    key: ClientKey
    options: Dhcp4
    lease: Lease | None = None
    left: int = 0
    former: tuple[Lease, ...] = ()
    lives: bool = True
    fits: bool = True
    settled: bool = True

    @property
    def serves(self) -> bool:
        """Whether it does what it is there for."""
        return self.lives and self.fits


@dataclass(frozen=True)
class Carried:
    """What lives on a link and dies with it."""

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
    """One desired object; `attributes` are those that were written, in normal form.

    kind None: a view of whatever link is there, which is neither created nor deleted.
    asserted: attributes that have to be so already, and are not changed.
    leads: of the two ends of a pair, the one that is planned first.
    force: a namespace goes although processes live in it.
    allow_wireless: a lower device may be wireless.
    wait_dad: how many seconds to wait for the end of duplicate address detection; announce: whether to announce addresses.
    persist: what is to be at the next boot: `none`, or by which backend it comes back (`replay`, `networkd`); None: as it is.
    dhcp4: what a DHCP client is to do for the link; wait_lease: how many seconds to wait for its lease. client: the program that
    serves, which the gateway finds where that is not known: what was written, what serves the link now, or what the host has.
    origin: where in the input it was written, for error messages.
    """

    key: Any  # LinkKey; NetnsKey, RouteKey or RuleKey with kind "netns", "route" or "rule"
    kind: str | None
    present: bool
    attributes: Attributes
    recreate: bool = False
    lower_device_state: str | None = None
    asserted: Attributes = field(default_factory=dict)
    leads: bool = False
    force: bool = False
    allow_wireless: bool = False
    wait_dad: float | None = None
    announce: bool = False
    persist: str | None = None
    dhcp4: Dhcp4 | None = None
    wait_lease: float | None = None
    client: str | None = None
    origin: str = ""


@dataclass(frozen=True)
class File:
    """A file of ours as it is, or is to be; link: for a symbolic link, where it leads."""

    content: bytes = b""
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True)
class BootState:
    """What brings things back at boot on this host.

    files: all that are ours, by path. init: `systemd`, `openrc`, `sysv`, or nothing. managers: `networkd`, `networkmanager`, as
    far as they are there. interpreter: the Python that runs at boot.
    release: that of the engine which is there, such as (1, 0, 0). clients: the files of the DHCP clients that were started.
    known: whether all of that could be read, which only root can.
    versions: of the managers that run, as far as a task asks for their files. governed: links that networkd sets up: the
    .network file of each, and whether it has addresses that others use. netdevs: links that others' .netdev files make, by kind.
    """

    files: Mapping[str, File] = field(default_factory=dict)
    init: str = ""
    managers: frozenset[str] = frozenset()
    udev: bool = False
    interpreter: str = "/usr/bin/python3"
    release: tuple[int, ...] = ()
    clients: frozenset[str] = frozenset()
    known: bool = True
    versions: Mapping[str, int] = field(default_factory=dict)
    governed: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    netdevs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What an observation must hold: every link of the namespaces it touches, and more of some links.

    namespaces: those to read beside the ones of the links. coming: those that need not be there. sysctls: the settings to
    read per link. settings: links of which all of them are read. traffic: namespaces whose addresses, routes and rules are read
    too.
    """

    links: frozenset[LinkKey] = frozenset()
    namespaces: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    sysctls: Mapping[LinkKey, frozenset[str]] = field(default_factory=dict)
    settings: frozenset[LinkKey] = frozenset()
    traffic: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Connection:
    """How the task reaches this host: the links of its own namespace that carry that, and words for a message.

    ipv6: whether it is by IPv6, without which nothing is left of it.
    client, server: the two addresses; None when it is not by ssh.
    """

    links: tuple[LinkKey, ...] = ()
    said: str = ""
    ipv6: bool = False
    client: str | None = None
    server: str | None = None


class State:
    """The links of some namespaces; the planner works on a copy that it changes operation by operation.

    sysctls: value of `conf/all` and `conf/default` per (netns, "all" or "default", key); None when the kernel has no such key.
    settings: all of them, per link of Scope.settings. routes, rules: of the namespaces of Scope.traffic, all that share a key
    in the order of the kernel; the routes that it derives from addresses for itself (table local) are left out.
    clients: the DHCP clients that are ours.
    """

    def __init__(
        self,
        links: Iterable[Link] = (),
        sysctls: Mapping[tuple[str, str, str], int | None] | None = None,
        settings: Mapping[LinkKey, Mapping[str, int]] | None = None,
        namespaces: Iterable[Netns] = (),
        routes: Iterable[Route] = (),
        rules: Iterable[Rule] = (),
        clients: Iterable[Client] = (),
    ) -> None:
        self._links: dict[LinkKey, Link] = {}
        self._above: dict[LinkKey, dict[LinkKey, None]] = {}  # lower device -> what sits on it, in order
        self._attached: dict[LinkKey, dict[LinkKey, None]] = {}  # controller -> what is attached to it
        self._owners: dict[LinkKey, LinkKey] = {}  # alternative name -> the link that has it
        self._sharing: dict[tuple[LinkKey, str], dict[LinkKey, None]] = {}  # lower device and MAC -> who has it there
        self._holders: dict[tuple[str, str], dict[LinkKey, None]] = {}  # namespace and IP address -> the links that have it
        self._leaving: dict[LinkKey, dict[RouteKey, None]] = {}  # link -> the routes that leave by it
        self._towards: dict[tuple[str, int], dict[int, dict[str, dict[RouteKey, None]]]] = {}  # by length and destination
        self.sysctls = dict(sysctls or {})
        self.settings = dict(settings or {})
        self.namespaces: dict[NetnsKey, Netns] = {netns.key: netns for netns in namespaces}
        self.routes: dict[RouteKey, tuple[Route, ...]] = {}
        self.rules: dict[RuleKey, tuple[Rule, ...]] = {}
        self.clients: dict[ClientKey, Client] = {client.key: client for client in clients}
        self.update({link.key: link for link in links})
        self.update(_by_key(routes))
        self.update(_by_key(rules))

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def copy(self) -> State:
        """A state that can be changed without changing this one."""
        routes = (route for some in self.routes.values() for route in some)
        rules = (rule for some in self.rules.values() for rule in some)
        return State(self, self.sysctls, self.settings, self.namespaces.values(), routes, rules, self.clients.values())

    def update(self, changes: Mapping[Any, Any]) -> None:
        """Put objects in the place of those with their keys, of routes and rules a tuple; None takes them out."""
        for key, new in changes.items():
            if isinstance(key, LinkKey):
                self._index(self._links.get(key), add=False)
                _put(self._links, key, new)
                self._index(new, add=True)
            elif isinstance(key, RouteKey):
                self._index_routes(self.routes.get(key, ()), add=False)
                _put(self.routes, key, new)
                self._index_routes(new or (), add=True)
            elif isinstance(key, ClientKey):
                _put(self.clients, key, new)
            else:
                _put(self.rules if isinstance(key, RuleKey) else self.namespaces, key, new)

    def _index(self, link: Link | None, add: bool) -> None:
        if link is None:
            return
        lower = link.get("lower_device")
        places: list[tuple[dict[Any, dict[LinkKey, None]], Any]] = []
        if lower:
            places = [(self._above, lower), (self._sharing, (lower, link.get("address")))]
        if link.get("controller"):
            places.append((self._attached, LinkKey(link.key.netns, link.get("controller"))))
        places += [(self._holders, (link.key.netns, address.ip)) for address in link.get("addresses") or ()]
        for index, place in places:
            _note(index, place, link.key, add)
        for altname in link.get("altnames") or ():
            if add:
                self._owners[LinkKey(link.key.netns, altname)] = link.key
            else:
                self._owners.pop(LinkKey(link.key.netns, altname), None)

    def _index_routes(self, routes: Iterable[Route], add: bool) -> None:
        for route in routes:
            for link in route.links:
                _note(self._leaving, link, route.key, add)
            by_length = self._towards.setdefault((route.key.netns, route.key.family), {})
            length = int(route.key.destination.partition("/")[2])
            _note(by_length.setdefault(length, {}), route.key.destination, route.key, add)

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

    def holders(self, netns: str, ip: str) -> list[LinkKey]:
        """The links of a namespace that have this IP address."""
        return list(self._holders.get((netns, ip), {}))

    def at(self, key: RouteKey | RuleKey) -> tuple[Any, ...]:
        """The routes or rules that share a key, in the order of the kernel; none when there are none."""
        return self.routes.get(key, ()) if isinstance(key, RouteKey) else self.rules.get(key, ())

    def routes_by(self, link: LinkKey) -> list[Route]:
        """The routes that leave by a link."""
        return [route for key in self._leaving.get(link, {}) for route in self.routes[key] if link in route.links]

    def routes_towards(self, netns: str, ip: str) -> Iterator[Route]:
        """The routes of all tables whose destination an address is in, the longest prefix and then the lowest metric first."""
        by_length = self._towards.get((netns, family_of(ip)), {})
        for length in sorted(by_length, reverse=True):
            keys = by_length[length].get(network(ip, length), {}) if by_length[length] else {}
            for key in sorted(keys, key=lambda one: one.metric):
                yield from self.routes[key]

    def carried(self, key: LinkKey) -> Carried:
        """What lives on a link, as far as it was read."""
        link = self.get(key)
        addresses = (link.get("addresses") or ()) if link else ()
        return Carried(addresses, tuple(self.routes_by(key)), self.settings.get(key, {}))

    def lower_of(self, key: LinkKey) -> LinkKey:
        """The device that a macvlan with this lower device really sits on.

        The kernel flattens: a macvlan on a macvlan sits on the lower device of that one.
        """
        link = self.get(key)
        while link is not None and link.kind in ("macvlan", "macvtap") and link.get("lower_device"):
            key = link.get("lower_device")
            link = self.get(key)
        return key


def _put(place: dict[Any, Any], key: Any, new: Any) -> None:
    if new:
        place[key] = new
    else:
        place.pop(key, None)


def _note(index: dict[Any, dict[Any, None]], place: Any, key: Any, add: bool) -> None:
    members = index.setdefault(place, {})
    if add:
        members[key] = None
    else:
        members.pop(key, None)


def _by_key(objects: Iterable[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for one in objects:
        found[one.key] = (*found.get(one.key, ()), one)
    return found
