# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan: each can say itself, predict what it does, name its inverse, and say its requests as data. Pure.

The same four questions for every operation:

`str(operation)`         the sentence that the user reads, the same in check mode and in the real run
`predict(state)`         link key -> link afterwards (None: gone), with everything that the kernel does along with it;
                         `outcome` below adds what becomes of the routes
`inverse()`              the operations that take it back
`requests()`             what is asked of the kernel, in order
`endangers(state)`       the links whose addresses and routes it takes with it, so that they are read before it runs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._addresses import (
    connected,
    identity,
    in_order_of_adding,
    made_anew,
    steps,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import (
    PASSTHRU,
    ROUTE,
    SOURCE,
    At,
    Attribute,
    Kind,
    Store,
    kind_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    LEFT_BEHIND,
    MAIN_TABLE,
    PHYSICAL,
    Address,
    Attributes,
    Carried,
    File,
    Link,
    LinkKey,
    Netns,
    NetnsKey,
    Route,
    RouteKey,
    Rule,
    RuleKey,
    State,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    DropFile,
    NewLink,
    NewNetns,
    ProveEngine,
    PutFile,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
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
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import AwaitAddresses as AskToAwait

Changes = Mapping[Any, Any]  # LinkKey -> Link, NetnsKey -> Netns; None: gone
# What an operation changes on other links: each as it is afterwards, and the attributes as they were. The planner notes it.
Beside = tuple[tuple[Link, Attributes], ...]

ETHERNET_MTU = 1500  # what the kernel gives a device of its own that nobody said otherwise of
RTPROT_KERNEL = 2  # linux/rtnetlink.h
DAD_SECONDS = 4.0  # what duplicate address detection takes on a link that has just come up, and some
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
        wait = any(kind[name].store is not Store.ADDRESS for name in later)  # addresses come after the flags anyway
        at_once = {
            row.name: self.attributes[row.name]
            for row in rows
            if row.at is not At.AFTER
            and row.name not in later
            and not (wait and row.name in flags)
            and _meant(row, self.attributes)
        }
        peer = None if self.other is None else (at_once.pop("peer"), self.other)
        first: list[Request] = [NewLink(self.key, self.kind, at_once, self.index, peer, self.other_index)]
        if not later:
            return first
        if wait:
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
                was = {name: (before or {}).get(name) for name in after}
                words += [f"{name} {'' if was[name] is None else f'{was[name]} -> '}{after[name]}" for name in after]
            else:
                words.append(f"{row.name} {row.type.change(before, after)}")
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
        if _takes_ipv6_off(old, self.after):
            link = link.with_attributes({"addresses": tuple(one for one in link.get("addresses") or () if one.family == 4)})
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

    def endangers(self, state: State) -> frozenset[LinkKey]:
        """A link that goes down loses its routes and its IPv6 addresses; one below the least MTU of IPv6 loses IPv6."""
        down = [
            key
            for key, after in _along(self.link, self.after, state).items()
            if after is not None and "down" == after.get("admin_state") != (state.get(key) or after).get("admin_state")
        ]
        return frozenset([*([self.key] if _takes_ipv6_off(self.link, self.after) else []), *down])


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
    """Put back what a link lost when it was created again or went down in between: settings, addresses, routes.

    anew: addresses that are there, but not in their place: they go first.
    """

    key: LinkKey
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    anew: tuple[Address, ...] = ()

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in self.sysctls.items()]
        words += [str(item) for item in (*self.addresses, *self.routes, *self.anew)]
        return f"restore on {self.key}: {', '.join(words)}"

    def predict(self, state: State) -> Changes:
        """The link has its addresses again; of its routes, see outcome."""
        link = state.get(self.key)
        if link is None:
            return {}
        there = {identity(address): address for address in link.get("addresses") or ()}
        there.update({identity(address): made_anew(address) for address in self.addresses})
        return {self.key: link.with_attributes({"addresses": tuple(there.values())})}

    def inverse(self) -> tuple[Operation, ...]:
        """None: they go with the link."""
        return ()

    def requests(self) -> list[Request]:
        """Settings and addresses first, then routes that need no gateway, then those that do."""
        settings = [WriteSysctl(self.key, name, value) for name, value in self.sysctls.items()]
        addresses: list[Request] = [RemoveAddress(self.key, address) for address in reversed(self.anew)]
        addresses += [AddAddress(self.key, address) for address in (*in_order_of_adding(self.addresses), *self.anew)]
        # A route that lost its IPv6 source may be there without it, and the kernel takes no source that is still tentative.
        sources = tuple(dict.fromkeys(route.get("source") for route in self.routes if _has_ipv6_source(route)))
        waiting = [AskToAwait(self.key, sources, DAD_SECONDS)] if sources else []
        ordered = sorted(self.routes, key=lambda route: route.get("gateway") is not None)
        routes = [ReplaceRoute(route) if _has_ipv6_source(route) else AddRoute(route) for route in ordered]
        return [*settings, *addresses, *waiting, *routes]

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
        changes: dict[Any, Any] = {self.key: None, new: replace(link, key=new)}
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
        for route in state.routes_by(self.key):
            some = changes.get(route.key, state.routes[route.key])
            changes[route.key] = tuple(_renamed(one, self.key, self.name) for one in some)
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


@dataclass(frozen=True)
class AwaitAddresses:
    """Wait until duplicate address detection has passed the addresses of a link; a duplicate ends the plan."""

    key: LinkKey
    ips: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"wait for duplicate address detection on {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AskToAwait(self.key, self.ips, self.seconds)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class Announce:
    """Tell the neighbours of a link who has its addresses now."""

    key: LinkKey
    ips: tuple[str, ...]

    def __str__(self) -> str:
        return f"announce from {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes here."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """What was said cannot be taken back; whoever has the address says so when it is asked."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AnnounceAddresses(self.key, self.ips)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class SetRoute:
    """Make a route, or put another in its place without a gap: `before` is what stands at its key; None: nothing."""

    route: Route
    before: Route | None = None

    @property
    def key(self) -> RouteKey:
        """The route."""
        return self.route.key

    def __str__(self) -> str:
        rows = ROUTE.rows(self.route.attributes)
        if self.before is None:
            usual = {"onlink": (False,), "scope": ("global", "link")}
            told = {name: value for name, value in self.route.attributes.items() if value not in usual.get(name, ())}
            return f"create {self.key}: {', '.join(_say('route', told))}"
        old = self.before.attributes
        words = [
            f"{row.name} {'none' if old.get(row.name) is None else row.type.say(old[row.name])} -> "
            f"{row.type.say(self.route.attributes[row.name])}"
            for row in rows
            if self.route.attributes[row.name] != old.get(row.name)
        ]
        words += [f"no {row.name}" for row in ROUTE.rows(old) if row.name not in self.route.attributes]
        return f"set {self.key}: {', '.join(words)}"

    def predict(self, state: State) -> Changes:
        """It is the first of those that have its key."""
        rest = [route for route in state.routes.get(self.key, ()) if route != self.before]
        return {self.key: (self.route, *rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """What was there, or nothing."""
        return (DeleteRoute(self.route) if self.before is None else SetRoute(self.before, self.route),)

    def requests(self) -> list[Request]:
        """One request."""
        return [AddRoute(self.route) if self.before is None else ReplaceRoute(self.route)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class DeleteRoute:
    """Delete a route."""

    route: Route

    @property
    def key(self) -> RouteKey:
        """The route."""
        return self.route.key

    def __str__(self) -> str:
        return f"delete {self.route}"

    def predict(self, state: State) -> Changes:
        """One less at its key."""
        rest = list(state.routes.get(self.key, ()))
        if self.route in rest:
            rest.remove(self.route)
        return {self.key: tuple(rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again."""
        return (SetRoute(self.route),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRoute(self.route)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class CreateRule:
    """Make a policy rule; among several of one priority it is the last. `before`: those that were there."""

    rule: Rule
    before: tuple[Rule, ...] = ()

    @property
    def key(self) -> RuleKey:
        """The rule."""
        return self.rule.key

    def __str__(self) -> str:
        return f"create {self.key}: {', '.join(_say('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """It is there."""
        return {self.key: (*state.rules.get(self.key, ()), self.rule)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; others that the kernel deletes in its place come again."""
        some, taken = [*self.before, self.rule], []
        while self.rule in some:
            taken.append(self.rule.hit(some) or self.rule)
            some.remove(taken[-1])
        return (*(DeleteRule(self.rule) for _one in taken), *(CreateRule(one) for one in taken[:-1]))

    def requests(self) -> list[Request]:
        """One request."""
        return [AddRule(self.rule)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class DeleteRule:
    """Delete a policy rule. What goes is the first at its priority that has all its parts, whatever it has besides."""

    rule: Rule

    @property
    def key(self) -> RuleKey:
        """The rule."""
        return self.rule.key

    def __str__(self) -> str:
        return f"delete {self.key}: {', '.join(_say('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """One less at its priority."""
        rest = list(state.rules.get(self.key, ()))
        first = self.rule.hit(rest)
        if first is not None:
            rest.remove(first)
        return {self.key: tuple(rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again."""
        return (CreateRule(self.rule),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRule(self.rule)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class ChangeFiles:
    """Write and delete files of the next boot: (path, before, after). told: the programs that then read theirs again."""

    why: str
    changes: tuple[tuple[str, File | None, File | None], ...]
    told: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is about."""
        return self.why

    def __str__(self) -> str:
        words = [f"{'delete' if after is None else 'write'} {path}" for path, _before, after in self.changes]
        return f"{self.why}: {', '.join(words)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes until the next boot."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """The files as they were."""
        changes = tuple((path, after, before) for path, before, after in reversed(self.changes))
        return (replace(self, changes=changes),)

    def requests(self) -> list[Request]:
        """One for each file, and word of them."""
        found: list[Request] = [
            DropFile(path) if after is None else PutFile(path, after) for path, _before, after in self.changes
        ]
        return found + [Tell(program) for program in self.told]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


@dataclass(frozen=True)
class Prove:
    """Run the program of the next boot once; it says nothing when it can do its work."""

    interpreter: str

    def __str__(self) -> str:
        return f"try the boot program with {self.interpreter}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [ProveEngine(self.interpreter)]

    def endangers(self, _state: State) -> frozenset[LinkKey]:
        """None."""
        return frozenset()


Operation = Union[
    ChangeFiles,
    Prove,
    CreateNetns,
    DeleteNetns,
    CreateLink,
    UpdateLink,
    DeleteLink,
    Rename,
    Restore,
    AwaitAddresses,
    Announce,
    SetRoute,
    DeleteRoute,
    CreateRule,
    DeleteRule,
]


def outcome(operation: Operation, state: State) -> Changes:
    """What an operation predicts, with the routes that go, come and change along with its links."""
    changes = dict(operation.predict(state))
    for key in [key for key in changes if isinstance(key, LinkKey)]:
        old = state.get(key)
        if isinstance(operation, Rename) or (old is None and changes[key] is None):
            continue
        for route_key, routes in _routes_follow(old, changes[key], state).items():
            changes.setdefault(route_key, routes)
    if isinstance(operation, Restore):
        for route in operation.routes:
            changes[route.key] = (
                route,
                *(one for one in changes.get(route.key, state.routes.get(route.key, ())) if one != route),
            )
    return changes


def _routes_follow(old: Link | None, new: Link | None, state: State) -> dict[RouteKey, tuple[Route, ...]]:
    """What becomes of routes when a link or its addresses change: those that change, by key."""
    found: dict[RouteKey, tuple[Route, ...]] = {}
    known = (old.get("addresses") or ()) if old else ()
    now = (new.get("addresses") or ()) if new else ()
    changes = steps(known, now)
    gone = {identity(address) for address in changes.gone}
    kept = [address for address in known + changes.add if identity(address) not in gone]
    up_before, up = (link is not None and link.get("admin_state") == "up" for link in (old, new))
    made = _connected_routes(old, known, state) if old and up_before else {}
    makes = _connected_routes(new, now, state) if new and up else {}
    four = {
        identity(address) for address in known + changes.add if address.family == 4
    }  # each goes alone, and comes before the next
    alone = len(four) == 1 and four <= gone
    bare = any(one.family == 4 for one in known) and (alone or not any(one.family == 4 for one in now))
    went = {address.ip for address in changes.gone}
    without_ipv6 = new is not None and _is_without_ipv6(new.attributes)
    for route in state.routes_by(old.key) if old else ():
        if new is None or new.get("admin_state") == "down" or (route.key.family == 6 and without_ipv6):
            _exchange(found, state, route, None)
        elif route.key in made and route.protocol == RTPROT_KERNEL:
            _exchange(found, state, route, makes.get(route.key))
        elif route.key.family == 4 and bare:
            _exchange(found, state, route, None)
        elif route.key.family == 6 and route.get("source") in went:
            rest = {name: value for name, value in route.attributes.items() if name != "source"}
            _exchange(found, state, route, replace(route, attributes=rest))
    link = old or new
    lost = {ip for ip in went if ":" not in ip} - {address.ip for address in kept}
    if link is not None and lost:
        _lose_sources(found, state, link, lost)
    for key, route in makes.items():
        some = found.get(key, state.routes.get(key, ()))
        if key not in made and not any(one.link == route.link for one in some):
            found[key] = (*some, route)
    return found


def _exchange(found: dict[RouteKey, tuple[Route, ...]], state: State, route: Route, new: Route | None) -> None:
    some = found.get(route.key, state.routes.get(route.key, ()))
    after = tuple(one for one in (new if each == route else each for each in some) if one is not None)
    if after != some:
        found[route.key] = after


def _has_ipv6_source(route: Route) -> bool:
    return route.key.family == 6 and bool(route.get("source"))


def _lose_sources(found: dict[RouteKey, tuple[Route, ...]], state: State, link: Link, ips: set[str]) -> None:
    """An IPv4 address that no link has any more takes the routes with it whose source it is: by any link, but of one table."""
    table = _table_of(link, state)
    lost = {ip for ip in ips if state.holders(link.key.netns, ip) == [link.key]}
    for key, some in state.routes.items() if lost else ():
        if (key.netns, key.table) == (link.key.netns, table):
            for route in some:
                if route.get("source") in lost and route.protocol != RTPROT_KERNEL:
                    _exchange(found, state, route, None)


def _table_of(link: Link, state: State) -> int:
    """The routing table that a link is in: the main one, or that of its VRF."""
    vrf = state.get(LinkKey(link.key.netns, link.get("controller") or ""))
    return int(vrf.get("table")) if vrf is not None and vrf.kind == "vrf" else MAIN_TABLE


def _connected_routes(link: Link, addresses: tuple[Address, ...], state: State) -> dict[RouteKey, Route]:
    """The routes that the kernel makes with addresses: one for each network, with the first address of it."""
    found: dict[RouteKey, Route] = {}
    networks = set()
    for destination, address in connected(addresses):
        four = address.family == 4
        if four and destination in networks:
            continue
        networks.add(destination)
        key = RouteKey(
            link.key.netns, _table_of(link, state), address.family, destination, address.metric or (0 if four else 256)
        )
        attributes: dict[str, Any] = {"type": "unicast", "link": link.key.name, "onlink": False}
        attributes.update({"source": address.ip, "scope": "link"} if four else {"scope": "global"})
        found.setdefault(key, Route(key, attributes, RTPROT_KERNEL))
    return found


def _renamed(route: Route, link: LinkKey, name: str) -> Route:
    return replace(route, attributes={**route.attributes, "link": name}) if route.link == link else route


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
    return requests + last + _address_requests(link, after)


def _address_requests(link: Link, after: Attributes) -> list[Request]:
    """What is new first: a link that loses its last IPv4 address loses all IPv4 routes."""
    if "addresses" not in after:
        return []
    before = link.get("addresses") or ()
    if _takes_ipv6_off(link, after):
        before = tuple(address for address in before if address.family == 4)
    found = steps(before, after["addresses"])
    requests: list[Request] = [AddAddress(link.key, address) for address in in_order_of_adding(found.add)]
    requests += [ReplaceAddress(link.key, address) for address in found.replace]
    for old, new in found.again:
        requests += [RemoveAddress(link.key, old), AddAddress(link.key, new)]
    for address in found.behind:
        requests += [RemoveAddress(link.key, address), AddAddress(link.key, address)]
    return requests + [RemoveAddress(link.key, address) for address in found.remove]


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
            after: dict[str, Any] = (
                {"stp_state": None} if now.kind != "bridge" else {}
            )  # what they make of that is up to the kernel
            if kind_of(now.kind).follows and now.get("lower_device") == link.key and "admin_state" in changed:
                after["admin_state"] = changed["admin_state"]
            found[other.key] = replace(now.with_attributes(after), oper_state=None, carrier=None)
            if "admin_state" in after:
                found.update(_along(now, {"admin_state": after["admin_state"]}, state))
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


def _takes_ipv6_off(link: Link, after: Attributes) -> bool:
    """Whether a change takes the IPv6 addresses off a link: it goes down, or IPv6 goes."""
    down = after.get("admin_state") == "down" and link.get("admin_state") != "down"
    return down or _is_without_ipv6(after)


def _is_without_ipv6(attributes: Attributes) -> bool:
    return not _has_ipv6(attributes.get("mtu")) or (attributes.get("sysctls") or {}).get("ipv6.disable_ipv6") == 1


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
