# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan: each can say itself, predict what it does, name its inverse, and say its requests as data. Pure.

The same four questions for every operation:

`str(operation)`         the sentence that the user reads, the same in check mode and in the real run
`predict(state)`         link key -> link afterwards (None: gone), with everything that the kernel does along with it
`inverse()`              the operations that take it back
`requests()`             what is asked of the kernel, in order
`endangers(state)`       the links whose addresses and routes it takes with it, so that they are read before it runs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import (
    PASSTHRU,
    SOURCE,
    At,
    Attribute,
    Kind,
    Store,
    kind_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    LEFT_BEHIND,
    PHYSICAL,
    Address,
    Attributes,
    Carried,
    Link,
    LinkKey,
    Netns,
    NetnsKey,
    Route,
    State,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    NewLink,
    NewNetns,
    RemoveAltname,
    RemoveLink,
    RemoveNetns,
    RenameLink,
    Request,
    SetLink,
    SetNode,
    WriteSysctl,
)

Changes = Mapping[Any, Any]  # LinkKey -> Link, NetnsKey -> Netns; None: gone
# What an operation changes on other links: each as it is afterwards, and the attributes as they were. The planner notes it.
Beside = tuple[tuple[Link, Attributes], ...]

ETHERNET_MTU = 1500  # what the kernel gives a device of its own that nobody said otherwise of
IPV6_MINIMUM_MTU = 1280  # RFC 8200, section 5: below it the kernel takes IPv6 off the link


@dataclass(frozen=True)
class CreateLink:
    """Make a link with these attributes; index None lets the kernel choose.

    other: the attributes of the other end of a pair that the creating request takes; what else it gets comes later.
    other_index: as index, for that end.
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    other: Attributes | None = None
    other_index: int | None = None
    beside: Beside = ()

    def __str__(self) -> str:
        lower, peer = self.attributes.get("lower_device"), self.attributes.get("peer")
        rest = {name: value for name, value in self.attributes.items() if name not in ("lower_device", "peer")}
        place = f" on {lower}" if lower else f" with peer {peer}" if peer else ""
        words = [f"{self.kind}{place}", *_say(self.kind, rest)]
        if self.other:
            words.append(f"peer: {', '.join(_say(self.kind, self.other))}")
        return f"create {self.key}: {', '.join(words)}"

    def predict(self, state: State) -> Changes:
        """The new link with what it inherits, and what its creation does to its lower device and its siblings."""
        kind = kind_of(self.kind)
        found = {row.name: row.initial for row in kind.attributes if row.initial is not None}
        lower = state.get(self.attributes.get("lower_device"))
        if lower is not None:
            found["mtu"] = lower.get("mtu")
            if kind.takes_address or self.attributes.get("mode") == PASSTHRU:
                found["address"] = lower.get("address")
            for row in kind.attributes:
                if row.per_lower_device:
                    found[row.name] = next((sibling.get(row.name) for sibling in state.above(lower.key)), row.initial)
        found.update(_new_port(kind, _is_port(self.key, self.attributes, state)))
        if self.other is None:
            link = Link(self.key, self.kind, {**found, **self.attributes})
            return {link.key: link, **_along(link, self.attributes, state)}
        found.update(mtu=ETHERNET_MTU)
        link = Link(self.key, self.kind, {**found, **self.attributes}, carrier=None)
        second = {**found, **_new_port(kind, False), **self.other, "peer": self.key}
        end = Link(self.attributes["peer"], self.kind, second, carrier=None)
        return {link.key: link, end.key: end, **_along(link, self.attributes, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; what belongs to the lower device outlives it, and is set back on the links beside it."""
        return (DeleteLink(Link(self.key, self.kind, self.attributes)), *_set_back(self.beside))

    def requests(self) -> list[Request]:
        """One request, or a second set for what the kernel ignores at creation: then the link comes up last."""
        kind = kind_of(self.kind)
        rows = kind.rows(self.attributes)
        later = {
            row.name: self.attributes[row.name]
            for row in rows
            if (row.at is At.AFTER and self.attributes[row.name] != row.initial) or _ignored_by_passthru(row, self.attributes)
        }
        flags = [row.name for row in rows if row.store is Store.FLAG]
        at_once = {
            row.name: self.attributes[row.name]
            for row in rows
            if row.at is not At.AFTER
            and row.name not in later
            and not (later and row.name in flags)
            and _meant(row, self.attributes)
        }
        peer = None if self.other is None else (at_once.pop("peer"), self.other)
        first: list[Request] = [NewLink(self.key, self.kind, at_once, self.index, peer, self.other_index)]
        if not later:
            return first
        later.update({name: self.attributes[name] for name in flags if self.attributes[name] != kind[name].initial})
        return first + _settings(Link(self.key, self.kind, {"altnames": ()}), later)

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None: there was nothing."""
        return frozenset()


@dataclass(frozen=True)
class UpdateLink:
    """Change a living link: `link` as it was, and the attributes as they are to be."""

    link: Link
    after: Attributes
    beside: Beside = ()

    @property
    def key(self) -> LinkKey:
        """The link that is changed."""
        return self.link.key

    def __str__(self) -> str:
        return f"set {self.key}: {', '.join(self._changes())}"

    def _changes(self) -> list[str]:
        kind = kind_of(self.link.kind)
        words = []
        for row in kind.rows(self.after):
            before, after = self.link.get(row.name), self.after[row.name]
            if row.store is Store.SYSCTL:
                words += [f"{name} {_was(row, (before or {}).get(name))}{after[name]}" for name in after]
            else:
                words.append(f"{row.name} {_was(row, before)}{row.type.say(after)}")
        return words

    def predict(self, state: State) -> Changes:
        """The link afterwards, and what the change does to its lower device, its siblings, and what sits on it."""
        old = state.get(self.key) or self.link
        after = dict(self.after)
        if "sysctls" in after:
            after["sysctls"] = {**(old.get("sysctls") or {}), **after["sysctls"]}
        if "mode" in after and after["mode"] != SOURCE:
            after.setdefault("source_addresses", ())  # the kernel flushes the list
        if _loses_ipv6_settings(old, after):
            after = {**_without_ipv6_settings(old), **after}
            after["sysctls"] = {**_without_ipv6_settings(old)["sysctls"], **self.after.get("sysctls", {})}
        kind = kind_of(old.kind)
        if "controller" in after:  # every other membership starts with the defaults
            after = {**_new_port(kind, _is_port(old.key, after, state)), **after}
        elif "admin_state" in after and old.get("controller"):
            after.setdefault("stp_state", None)
        link = old.with_attributes(after)
        if "admin_state" in self.after:
            link = replace(link, oper_state=None, carrier=None)  # what it makes of that is up to the kernel
        return {link.key: link, **_along(link, self.after, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Set everything back to what it was; what was not known cannot be."""
        names, settings = set(self.after), set(self.after.get("sysctls", {}))
        if "controller" in self.after and self.link.get("controller"):  # its membership starts anew
            names |= set(lasting(self.link, kind_of(self.link.kind).port))
        if _loses_ipv6_settings(self.link, self.after) and _has_ipv6(self.link.get("mtu")):  # and so gets them back last
            names |= {"address_generation_mode", "sysctls"}
            settings |= {name for name in self.link.get("sysctls") or {} if name.startswith("ipv6.")}
        before = {row.name: self.link.get(row.name) for row in kind_of(self.link.kind).rows(dict.fromkeys(names))}
        known = before.get("sysctls") or {}
        before["sysctls"] = {name: known[name] for name in known if name in settings and known[name] is not None}
        before = {name: value for name, value in before.items() if value not in (None, {})}
        lost = _without_ipv6_settings(self.link) if _loses_ipv6_settings(self.link, self.after) else {}
        own = (UpdateLink(self.link.with_attributes({**lost, **self.after}), before),) if before else ()
        return (*own, *_set_back(self.beside))

    def requests(self) -> list[Request]:
        """See _settings."""
        return _settings(self.link, self.after)

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """A link that goes down loses its routes and its IPv6 addresses; one below the least MTU of IPv6 loses IPv6."""
        down = self.after.get("admin_state") == "down" and self.link.get("admin_state") != "down"
        small = self.after.get("mtu", IPV6_MINIMUM_MTU) < IPV6_MINIMUM_MTU
        return frozenset({self.key} if down or small else ())


@dataclass(frozen=True)
class DeleteLink:
    """Delete a link. `carried` and `along` are what goes with it: what lived on it, and the links that sat
    on it."""

    link: Link
    carried: Carried = field(default_factory=Carried)
    along: tuple[tuple[Link, Carried], ...] = ()
    why: str = ""
    beside: Beside = ()

    @property
    def key(self) -> LinkKey:
        """The link that is deleted."""
        return self.link.key

    def __str__(self) -> str:
        return f"delete {self.key}{self.why}"

    def predict(self, state: State) -> Changes:
        """The link and all that sits on it are gone; a passthru link gives its lower device the old MAC back."""
        changes: dict[LinkKey, Link | None] = {link.key: None for link in [self.link, *_all_above(self.key, state)]}
        peer = state.get(self.link.get("peer"))
        if peer is not None:
            changes.update({link.key: None for link in [peer, *_all_above(peer.key, state)]})
        lower = state.get(self.link.get("lower_device"))
        if lower is not None and self.link.get("mode") == PASSTHRU:
            changes[lower.key] = lower.with_attributes({"address": None})
        for port in state.attached(self.key):
            if port.key not in changes:
                changes[port.key] = port.with_attributes({"controller": "", **_new_port(kind_of(port.kind), False)})
        bridge = state.get(LinkKey(self.key.netns, self.link.get("controller") or ""))
        if bridge is not None:
            changes.update({key: after for key, after in _bridge_follows(bridge, state).items() if key not in changes})
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again, under its old index, with all that was on it."""
        found: list[Operation] = []
        for link, carried in [(self.link, self.carried), *self.along]:
            known = lasting(link, kind_of(link.kind).attributes)
            if carried.sysctls:
                known["sysctls"] = dict(carried.sysctls)
            if link.get("peer") == self.key:  # it came with its other end
                rest = {name: value for name, value in known.items() if name != "peer" and name not in _at_once(link)}
                found += [UpdateLink(Link(link.key, link.kind, {"altnames": (), **_at_once(link)}), rest)] if rest else []
            else:
                ends = [other for other, _carried in self.along if other.get("peer") == link.key]
                end = ends[0] if ends else None
                taken, number = (_at_once(end), end.index) if end else (None, None)
                found.append(CreateLink(link.key, link.kind, known, link.index, other=taken, other_index=number))
            if carried.addresses or carried.routes:
                found.append(Restore(link.key, carried.addresses, carried.routes))
        found += _set_back(self.beside)
        return tuple(found)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveLink(self.key)]

    def endangers(self, state: State) -> frozenset[LinkKey]:
        """Everything that goes."""
        return frozenset(key for key, link in self.predict(state).items() if link is None)


@dataclass(frozen=True)
class Restore:
    """Put back what a link lost when it was created again or went down in between: settings, addresses, routes."""

    key: LinkKey
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in self.sysctls.items()]
        words += [str(item) for item in (*self.addresses, *self.routes)]
        return f"restore on {self.key}: {', '.join(words)}"

    def predict(self, _state: State) -> Changes:
        """Addresses and routes are no attributes of a link."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None: they go with the link."""
        return ()

    def requests(self) -> list[Request]:
        """Settings and addresses first, then routes that need no gateway, then those that do."""
        settings = [WriteSysctl(self.key, name, value) for name, value in self.sysctls.items()]
        addresses = [AddAddress(self.key, address) for address in self.addresses]
        routes = [AddRoute(self.key, route) for route in sorted(self.routes, key=lambda route: route.gateway is not None)]
        return [*settings, *addresses, *routes]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class Rename:
    """Give a link another name."""

    link: Link
    name: str

    @property
    def key(self) -> LinkKey:
        """The link, by its old name."""
        return self.link.key

    def __str__(self) -> str:
        return f"rename {self.key} to {self.name}"

    def predict(self, state: State) -> Changes:
        """The link under its new name, and whatever refers to it."""
        new = replace(self.key, name=self.name)
        link = state.get(self.key) or self.link
        changes: dict[LinkKey, Link | None] = {self.key: None, new: replace(link, key=new)}
        peer = state.get(link.get("peer"))
        if peer is not None:
            changes[peer.key] = peer.with_attributes({"peer": new})
        for upper in state.above(self.key):
            changes[upper.key] = upper.with_attributes({"lower_device": new})
        for port in state.attached(self.key):
            changes[port.key] = port.with_attributes({"controller": self.name})
        for port in state.attached(LinkKey(self.key.netns, link.get("controller") or "")):
            if port.get("backup_port") == self.key.name:
                changes[port.key] = port.with_attributes({"backup_port": self.name})
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """The old name."""
        return (Rename(replace(self.link, key=replace(self.key, name=self.name)), self.key.name),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RenameLink(self.key, self.name)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None: a link keeps everything under another name."""
        return frozenset()


@dataclass(frozen=True)
class CreateNetns:
    """Make a named network namespace; left_behind: only put the file back that was left behind of one."""

    key: NetnsKey
    left_behind: bool = False

    def __str__(self) -> str:
        return f"create {self.key}"

    def predict(self, _state: State) -> Changes:
        """It is there, with a loopback device."""
        if self.left_behind:
            return {self.key: Netns(self.key, instead=LEFT_BEHIND)}
        loopback = Link(LinkKey(self.key.name, "lo"), PHYSICAL, {"admin_state": "down"}, ethernet=False)
        return {self.key: Netns(self.key), loopback.key: loopback}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it."""
        return (DeleteNetns(self.key, left_behind=self.left_behind),)

    def requests(self) -> list[Request]:
        """One request."""
        return [NewNetns(self.key.name, self.left_behind)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None: there was nothing."""
        return frozenset()


@dataclass(frozen=True)
class DeleteNetns:
    """Take the name of a network namespace away. The plan deletes the links in it before, each so that it can be made again.

    loopback: whether its loopback device is up. left_behind: all that is there is a file that was left behind of it.
    """

    key: NetnsKey
    loopback: bool = False
    left_behind: bool = False

    def __str__(self) -> str:
        return f"delete {self.key}"

    def predict(self, state: State) -> Changes:
        """It is gone, with whatever is left in it."""
        return {self.key: None, **{link.key: None for link in state if link.key.netns == self.key.name}}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again, empty; the links come back by the inverses of their own deletions."""
        loopback = Link(LinkKey(self.key.name, "lo"), PHYSICAL, {"admin_state": "down"})
        return (
            CreateNetns(self.key, self.left_behind),
            *([UpdateLink(loopback, {"admin_state": "up"})] if self.loopback else []),
        )

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveNetns(self.key.name, self.left_behind)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None: what was endangered went before."""
        return frozenset()


Operation = Union[CreateNetns, DeleteNetns, CreateLink, UpdateLink, DeleteLink, Rename, Restore]


def what_is_beside(operation: Operation, state: State) -> Beside:
    """What an operation will change on links that stay, besides its own."""
    found = []
    for key, after in operation.predict(state).items():
        before = state.get(key) if isinstance(key, LinkKey) else None
        if before is None or after is None or key == getattr(operation, "key", None):
            continue
        rows = [row for row in kind_of(before.kind).attributes if after.get(row.name) is not None or row.store is Store.PORT]
        known = {name: value for name, value in lasting(before, rows, True).items() if after.get(name) != value}
        if known:
            found.append((after, known))
    return tuple(found)


def _set_back(beside: Beside) -> list[Operation]:
    return [UpdateLink(after, before) for after, before in beside]


def lasting(link: Link, rows: Iterable[Attribute], initial: bool = False) -> dict[str, Any]:
    """The attributes that somebody has chosen; initial: also those that every new link has."""
    found = {}
    for row in rows:
        value = link.get(row.name)
        ordinary = (None,) if initial and row.store is not Store.PORT else (None, row.initial, row.usual)
        if value not in ordinary and not row.derived:
            found[row.name] = value
    return found


def _at_once(link: Link) -> dict[str, Any]:
    """What the request that creates a pair takes for its second end: no flags, and nothing that the kernel ignores there."""
    rows = kind_of(link.kind).attributes
    taken = [row.name for row in rows if row.store is Store.MESSAGE and row.at is not At.AFTER]
    return {name: link.get(name) for name in taken if link.get(name) is not None}


def _settings(link: Link, after: Attributes) -> list[Request]:
    """The requests that change a link, ordered so that each takes effect.

    A set request is not atomic, and the kernel ends it with flags and controller in an order of its own. So all that must
    hold before the link comes up (an address generation mode, sysctls) is asked for first, and flags come last. Except
    nopromisc on a passthru link that comes up: the kernel counts it right only while the link is up.
    """
    kind = kind_of(link.kind)
    mode = after.get("mode", link.get("mode"))

    def of(*stores: Store) -> dict[str, Any]:
        return {row.name: after[row.name] for row in kind.rows(after) if row.store in stores and _meant(row, {"mode": mode})}

    message, flags, port = of(Store.MESSAGE, Store.DATA, Store.SOURCES), of(Store.FLAG), of(Store.PORT)
    last: list[Request] = []
    if of(Store.DATA_FLAG):  # bits of a word that is always written whole
        bits = [row.name for row in kind.attributes if row.store is Store.DATA_FLAG]
        word = {name: after.get(name, link.get(name) or False) for name in bits}
        if mode == PASSTHRU and flags.get("admin_state") == "up":
            last = [SetLink(link.key, link.kind, word)]
        else:
            message.update(word)
    # The state of STP holds only once the port is up.
    late = {name: port.pop(name) for name in ("stp_state",) if name in port}
    # IPv6 on its own: the kernel looks whether the link has it before it applies an MTU of the same request. The settings of a
    # port too: a link becomes one with one request, and takes them with another.
    parts = [message, of(Store.INET6), port]
    if link.kind == "bridge" and message.get("stp_state") is False:  # or the bounds of STP hold for what comes with it
        parts.insert(0, {"stp_state": message.pop("stp_state")})
    requests: list[Request] = [SetLink(link.key, link.kind, part) for part in parts if part]
    if "altnames" in after:
        old = link.get("altnames") or ()
        requests += [RemoveAltname(link.key, name) for name in old if name not in after["altnames"]]
        requests += [AddAltname(link.key, name) for name in after["altnames"] if name not in old]
    requests += [WriteSysctl(link.key, name, value) for name, value in after.get("sysctls", {}).items()]
    if of(Store.NODE):
        requests.append(SetNode(link.key, of(Store.NODE)))
    requests += [SetLink(link.key, link.kind, part) for part in (flags, late) if part]
    return requests + last


def _bridge_follows(bridge: Link, state: State) -> dict[LinkKey, Link]:
    """A bridge whose ports change, and the links on it, whose MTU it bounds: what comes of that depends on who set what."""
    found = {bridge.key: replace(bridge.with_attributes({"address": None, "mtu": None}), oper_state=None, carrier=None)}
    for upper in state.above(bridge.key):
        found[upper.key] = upper.with_attributes({"mtu": None})
    return found


def _is_port(key: LinkKey, attributes: Attributes, state: State) -> bool:
    """Whether what a link is attached to is a bridge, and not a VRF."""
    controller = state.get(LinkKey(key.netns, attributes.get("controller") or ""))
    return controller is not None and controller.kind == "bridge"


def _new_port(kind: Kind, attached: bool) -> dict[str, Any]:
    """What a link has that has just become a port, or is none; what came with a later kernel may not be there."""
    return {row.name: row.initial if attached and not row.since else None for row in kind.port}


def _along(link: Link, changed: Attributes, state: State) -> dict[LinkKey, Link | None]:
    """What the kernel changes on other links when these attributes of one are written."""
    found: dict[LinkKey, Link | None] = {}
    lower = state.get(link.get("lower_device"))
    shared = {row.name: changed[row.name] for row in kind_of(link.kind).rows(changed) if row.per_lower_device}
    if lower is not None and shared:
        for sibling in state.above(lower.key):
            if sibling.key != link.key:
                found[sibling.key] = sibling.with_attributes(shared)
    if lower is not None and link.get("mode") == PASSTHRU and "address" in changed:
        found[lower.key] = lower.with_attributes({"address": changed["address"]})
    if {"controller", "mtu", "address"} & set(changed):  # a bridge without a MAC and an MTU of its own takes those of its ports
        for name in {changed.get("controller"), (state.get(link.key) or link).get("controller")} - {"", None}:
            bridge = state.get(LinkKey(link.key.netns, name))
            if bridge is not None:
                found.update(_bridge_follows(bridge, state))
        for other in state.attached(LinkKey(link.key.netns, (state.get(link.key) or link).get("controller") or "")):
            if "controller" in changed and other.get("backup_port") == link.key.name:
                found[other.key] = other.with_attributes({"backup_port": ""})
    for upper in state.above(link.key):
        mtu = changed.get("mtu")
        if mtu and (upper.get("mtu") or 0) > mtu:  # lowered along with it, but not raised
            settings = _without_ipv6_settings(upper) if _loses_ipv6_settings(upper, {"mtu": mtu}) else {}
            upper = found[upper.key] = upper.with_attributes({"mtu": mtu, **settings})
    if "admin_state" in changed or (link.kind == "bridge" and "stp_state" in changed):
        peer = state.get(link.get("peer"))
        for other in [*state.above(link.key), *state.attached(link.key), *([peer] if peer else [])]:
            now = found.get(other.key) or other
            unknown = {"stp_state": None} if now.kind != "bridge" else {}  # what the others make of that is up to the kernel
            found[other.key] = replace(now.with_attributes(unknown), oper_state=None, carrier=None)
    return found


def _all_above(key: LinkKey, state: State) -> list[Link]:
    found: list[Link] = []
    for link in state.above(key):
        found += [link, *_all_above(link.key, state)]
    return found


def _meant(row: Attribute, attributes: Attributes) -> bool:
    """The kernel refuses a list of source addresses, even an empty one, in any mode but source."""
    return row.store is not Store.SOURCES or attributes.get("mode") == SOURCE


def _ignored_by_passthru(row: Attribute, attributes: Attributes) -> bool:
    """A new passthru link takes the MAC of its lower device, whatever the creating request says."""
    return row.name == "address" and attributes.get("mode") == PASSTHRU


def _loses_ipv6_settings(link: Link, after: Attributes) -> bool:
    """Whether a change of the MTU takes IPv6 off the link, or brings it back with defaults."""
    return "mtu" in after and _has_ipv6(link.get("mtu")) != _has_ipv6(after["mtu"])


def _without_ipv6_settings(link: Link) -> dict[str, Any]:
    settings = link.get("sysctls") or {}
    return {
        "address_generation_mode": None,
        "sysctls": {name: settings[name] for name in settings if not name.startswith("ipv6.")},
    }


def _has_ipv6(mtu: int | None) -> bool:
    return mtu is None or mtu >= IPV6_MINIMUM_MTU


def _say(kind: str, attributes: Attributes) -> list[str]:
    return [
        row.type.say(attributes[row.name]) if row.store is Store.SYSCTL else f"{row.name} {row.type.say(attributes[row.name])}"
        for row in kind_of(kind).rows(attributes)
        if attributes[row.name] != {}
    ]


def _was(row: Attribute, value: Any) -> str:
    return "" if value is None else f"{value if row.store is Store.SYSCTL else row.type.say(value)} -> "
