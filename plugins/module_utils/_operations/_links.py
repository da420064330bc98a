# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that make, change, delete, restore and rename links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Attribute, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Attributes, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import DAD_SECONDS
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._cascades import (
    all_links_above,
    cascaded_changes,
    changes_of_bridge,
    is_bridge_port,
    port_defaults,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._ipv6 import (
    has_ipv6,
    loses_ipv6_settings,
    takes_ipv6_off,
    without_ipv6_settings,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._link_requests import (
    is_accepted,
    is_ignored_by_passthru,
    requests_to_change,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation, describe
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddRoute,
    AwaitAddresses,
    NewLink,
    RemoveAddress,
    RemoveLink,
    RenameLink,
    ReplaceRoute,
    Request,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import identity, in_order_of_adding, made_anew

# What an operation changes on other links: each as it is afterwards, and the attributes as they were. The planner notes it.
SideEffects = tuple[tuple[Link, Attributes], ...]

ETHERNET_MTU = 1500  # what the kernel gives a device of its own that nobody said otherwise of


@dataclass(frozen=True)
class CreateLink(Operation):
    """Make a link with these attributes; index None lets the kernel choose.

    other: the attributes of the other end of a pair that the creating request takes; what else it gets comes later.
    peer_index: as index, for that end.
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    peer_attributes: Attributes | None = None
    peer_index: int | None = None
    side_effects: SideEffects = ()

    def __str__(self) -> str:
        lower, peer = self.attributes.get("lower_device"), self.attributes.get("peer")
        rest = {name: value for name, value in self.attributes.items() if name not in ("lower_device", "peer")}
        place = f" on {lower}" if lower else f" with peer {peer}" if peer else ""
        words = [f"{self.kind}{place}", *describe(self.kind, rest)]
        if self.peer_attributes:
            words.append(f"peer: {', '.join(describe(self.kind, self.peer_attributes))}")
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
        found.update(port_defaults(kind, is_bridge_port(self.key, self.attributes, state)))
        if self.peer_attributes is None:
            link = Link(self.key, self.kind, {**found, **self.attributes})
            return {link.key: link, **cascaded_changes(link, self.attributes, state)}
        found.update(mtu=ETHERNET_MTU)
        link = Link(self.key, self.kind, {**found, **self.attributes}, carrier=None)
        second = {**found, **port_defaults(kind, False), **self.peer_attributes, "peer": self.key}
        end = Link(self.attributes["peer"], self.kind, second, carrier=None)
        return {link.key: link, end.key: end, **cascaded_changes(link, self.attributes, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; what belongs to the lower device outlives it, and is set back on the links beside it."""
        return (DeleteLink(Link(self.key, self.kind, self.attributes)), *_revert_side_effects(self.side_effects))

    def requests(self) -> list[Request]:
        """One request, or a second set for what the kernel ignores at creation: then the link comes up last."""
        kind = kind_of(self.kind)
        rows = kind.rows(self.attributes)
        later = {
            row.name: self.attributes[row.name]
            for row in rows
            if (row.at is At.AFTER and self.attributes[row.name] != row.initial) or is_ignored_by_passthru(row, self.attributes)
        }
        flags = [row.name for row in rows if row.store is Store.FLAG]
        wait = any(kind[name].store is not Store.ADDRESS for name in later)  # addresses come after the flags anyway
        at_once = {
            row.name: self.attributes[row.name]
            for row in rows
            if row.at is not At.AFTER
            and row.name not in later
            and not (wait and row.name in flags)
            and is_accepted(row, self.attributes)
        }
        peer = None if self.peer_attributes is None else (at_once.pop("peer"), self.peer_attributes)
        first: list[Request] = [NewLink(self.key, self.kind, at_once, self.index, peer, self.peer_index)]
        if not later:
            return first
        if wait:
            later.update({name: self.attributes[name] for name in flags if self.attributes[name] != kind[name].initial})
        return first + requests_to_change(Link(self.key, self.kind, {"altnames": ()}), later)


@dataclass(frozen=True)
class UpdateLink(Operation):
    """Change a living link: `link` as it was, and the attributes as they are to be."""

    link: Link
    after: Attributes
    side_effects: SideEffects = ()

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
        if loses_ipv6_settings(old, after):
            after = {**without_ipv6_settings(old), **after}
            after["sysctls"] = {**without_ipv6_settings(old)["sysctls"], **self.after.get("sysctls", {})}
        kind = kind_of(old.kind)
        if "controller" in after:  # every other membership starts with the defaults
            after = {**port_defaults(kind, is_bridge_port(old.key, after, state)), **after}
        elif "admin_state" in after and old.get("controller"):
            after.setdefault("stp_state", None)
        link = old.with_attributes(after)
        if "admin_state" in self.after:
            link = replace(link, oper_state=None, carrier=None)  # what it makes of that is up to the kernel
        if takes_ipv6_off(old, self.after):
            link = link.with_attributes({"addresses": tuple(one for one in link.get("addresses") or () if one.family == 4)})
        return {link.key: link, **cascaded_changes(link, self.after, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Set everything back to what it was; what was not known cannot be."""
        names, settings = set(self.after), set(self.after.get("sysctls", {}))
        if "controller" in self.after and self.link.get("controller"):  # its membership starts anew
            names |= set(chosen_attributes(self.link, kind_of(self.link.kind).port))
        if loses_ipv6_settings(self.link, self.after) and has_ipv6(self.link.get("mtu")):  # and so gets them back last
            names |= {"address_generation_mode", "sysctls"}
            settings |= {name for name in self.link.get("sysctls") or {} if name.startswith("ipv6.")}
        before = {row.name: self.link.get(row.name) for row in kind_of(self.link.kind).rows(dict.fromkeys(names))}
        known = before.get("sysctls") or {}
        before["sysctls"] = {name: known[name] for name in known if name in settings and known[name] is not None}
        before = {name: value for name, value in before.items() if value not in (None, {})}
        lost = without_ipv6_settings(self.link) if loses_ipv6_settings(self.link, self.after) else {}
        own = (UpdateLink(self.link.with_attributes({**lost, **self.after}), before),) if before else ()
        return (*own, *_revert_side_effects(self.side_effects))

    def requests(self) -> list[Request]:
        """See requests_to_change."""
        return requests_to_change(self.link, self.after)

    def loses_contents_of(self, state: State) -> frozenset[LinkKey]:
        """A link that goes down loses its routes and its IPv6 addresses; one below the least MTU of IPv6 loses IPv6."""
        down = [
            key
            for key, after in cascaded_changes(self.link, self.after, state).items()
            if after is not None and "down" == after.get("admin_state") != (state.get(key) or after).get("admin_state")
        ]
        return frozenset([*([self.key] if takes_ipv6_off(self.link, self.after) else []), *down])


@dataclass(frozen=True)
class DeleteLink(Operation):
    """Delete a link. `carried` and `along` are what goes with it: what lived on it, and the links that sat
    on it."""

    link: Link
    contents: LinkContents = field(default_factory=LinkContents)
    cascaded: tuple[tuple[Link, LinkContents], ...] = ()
    reason: str = ""
    side_effects: SideEffects = ()

    @property
    def key(self) -> LinkKey:
        """The link that is deleted."""
        return self.link.key

    def __str__(self) -> str:
        return f"delete {self.key}{self.reason}"

    def predict(self, state: State) -> Changes:
        """The link and all that sits on it are gone; a passthru link gives its lower device the old MAC back."""
        changes: dict[LinkKey, Link | None] = {link.key: None for link in [self.link, *all_links_above(self.key, state)]}
        peer = state.get(self.link.get("peer"))
        if peer is not None:
            changes.update({link.key: None for link in [peer, *all_links_above(peer.key, state)]})
        lower = state.get(self.link.get("lower_device"))
        if lower is not None and self.link.get("mode") == PASSTHRU:
            changes[lower.key] = lower.with_attributes({"address": None})
        for port in state.attached(self.key):
            if port.key not in changes:
                changes[port.key] = port.with_attributes({"controller": "", **port_defaults(kind_of(port.kind), False)})
        bridge = state.get(LinkKey(self.key.netns, self.link.get("controller") or ""))
        if bridge is not None:
            changes.update({key: after for key, after in changes_of_bridge(bridge, state).items() if key not in changes})
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again, under its old index, with all that was on it."""
        found: list[Operation] = []
        for link, carried in [(self.link, self.contents), *self.cascaded]:
            known = chosen_attributes(link, kind_of(link.kind).attributes)
            if carried.sysctls:
                known["sysctls"] = dict(carried.sysctls)
            if link.get("peer") == self.key:  # it came with its other end
                came = peer_creation_attributes(link.kind, link.attributes)
                rest = {name: value for name, value in known.items() if name != "peer" and name not in came}
                found += [UpdateLink(Link(link.key, link.kind, {"altnames": (), **came}), rest)] if rest else []
            else:
                ends = [other for other, _carried in self.cascaded if other.get("peer") == link.key]
                end = ends[0] if ends else None
                taken, number = (peer_creation_attributes(end.kind, end.attributes), end.index) if end else (None, None)
                found.append(CreateLink(link.key, link.kind, known, link.index, peer_attributes=taken, peer_index=number))
            if carried.addresses or carried.routes:
                found.append(Restore(link.key, carried.addresses, carried.routes))
        found += _revert_side_effects(self.side_effects)
        return tuple(found)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveLink(self.key)]

    def loses_contents_of(self, state: State) -> frozenset[LinkKey]:
        """Everything that goes."""
        return frozenset(key for key, link in self.predict(state).items() if link is None)


@dataclass(frozen=True)
class Restore(Operation):
    """Put back what a link lost when it was created again or went down in between: settings, addresses, routes.

    anew: addresses that are there, but not in their place: they go first.
    """

    key: LinkKey
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    readd: tuple[Address, ...] = ()

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in self.sysctls.items()]
        words += [str(item) for item in (*self.addresses, *self.routes, *self.readd)]
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
        addresses: list[Request] = [RemoveAddress(self.key, address) for address in reversed(self.readd)]
        addresses += [AddAddress(self.key, address) for address in (*in_order_of_adding(self.addresses), *self.readd)]
        # A route that lost its IPv6 source may be there without it, and the kernel takes no source that is still tentative.
        sources = tuple(dict.fromkeys(route.get("source") for route in self.routes if _has_ipv6_source(route)))
        waiting = [AwaitAddresses(self.key, sources, DAD_SECONDS)] if sources else []
        ordered = sorted(self.routes, key=lambda route: route.get("gateway") is not None)
        routes = [ReplaceRoute(route) if _has_ipv6_source(route) else AddRoute(route) for route in ordered]
        return [*settings, *addresses, *waiting, *routes]


@dataclass(frozen=True)
class Rename(Operation):
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


def side_effects_of(operation: Operation, state: State) -> SideEffects:
    """What an operation will change on links that stay, besides its own."""
    found = []
    for key, after in operation.predict(state).items():
        before = state.get(key) if isinstance(key, LinkKey) else None
        if before is None or after is None or key == getattr(operation, "key", None):
            continue
        rows = [row for row in kind_of(before.kind).attributes if after.get(row.name) is not None or row.store is Store.PORT]
        known = {name: value for name, value in chosen_attributes(before, rows, True).items() if after.get(name) != value}
        if known:
            found.append((after, known))
    return tuple(found)


def _revert_side_effects(side_effects: SideEffects) -> list[Operation]:
    return [UpdateLink(after, before) for after, before in side_effects]


def chosen_attributes(link: Link, rows: Iterable[Attribute], initial: bool = False) -> dict[str, Any]:
    """The attributes that somebody has chosen; initial: also those that every new link has."""
    found = {}
    for row in rows:
        value = link.get(row.name)
        ordinary = (None,) if initial and row.store is not Store.PORT else (None, row.initial, row.usual)
        if value not in ordinary and not row.derived:
            found[row.name] = value
    return found


def peer_creation_attributes(kind: str, attributes: Attributes) -> dict[str, Any]:
    """What the request that creates a pair takes for its second end: no flags, and nothing that the kernel ignores there."""
    taken = [row.name for row in kind_of(kind).rows(attributes) if row.store is Store.MESSAGE and row.at is not At.AFTER]
    return {name: attributes[name] for name in taken if attributes[name] is not None}


def _has_ipv6_source(route: Route) -> bool:
    return route.key.family == 6 and bool(route.get("source"))


def _renamed(route: Route, link: LinkKey, name: str) -> Route:
    return replace(route, attributes={**route.attributes, "link": name}) if route.link == link else route
