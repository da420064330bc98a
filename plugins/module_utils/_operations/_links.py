# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that create, change, delete and rename links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import (
    PASSTHRU,
    draws_address,
    shares_address,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Attribute, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import (
    has_ipv6,
    is_without_ipv6,
    loses_ipv6_addresses,
    loses_ipv6_settings,
    without_ipv6_settings,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._cascades import (
    all_links_above,
    cascaded_changes,
    changes_of_bridge,
    is_bridge_port,
    is_restarted,
    port_defaults,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._link_requests import (
    requests_to_change,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation, describe
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    NewLink,
    RemoveLink,
    RenameLink,
    Request,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import STATIC, owner, replaces_only_address

# What an operation changes on other links that stay: each link as it is afterwards, and its attributes as they were before.
# The planner adds them to an operation, so that its inverse can set them back.
SideEffects = tuple[tuple[Link, Attributes], ...]

_KEEP_ADDRESSES = "ipv6.keep_addr_on_down"
ETHERNET_MTU = 1500  # what the kernel gives a new Ethernet device that has no lower device


@dataclass(frozen=True)
class CreateLink(Operation):
    """Create a link with these attributes.

    index: the one to request; None: the kernel chooses.
    peer_attributes: of a pair, what the creating request sets on the other end; further attributes are set afterwards.
    peer_index: as index, for the other end.
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
        others = {name: value for name, value in self.attributes.items() if name not in ("lower_device", "peer")}
        relation = f" on {lower}" if lower else f" with peer {peer}" if peer else ""
        parts = [f"{self.kind}{relation}", *describe(self.kind, others)]
        if self.peer_attributes:
            parts.append(f"peer: {', '.join(describe(self.kind, self.peer_attributes))}")
        return f"create {self.key}: {', '.join(parts)}"

    def predict(self, state: State) -> Changes:
        """The new link with what it inherits, and what its creation changes on its lower device and the links beside it."""
        kind = kind_of(self.kind)
        lower = state.get(AttributeView(self.attributes).lower_device)
        inherited = initial_attributes(self.kind, lower)
        if lower is not None:
            if not draws_address(kind, self.attributes):
                inherited["address"] = lower.address
            for row in kind.attributes:
                if row.per_lower_device:
                    siblings = state.links_of_kinds(lower.key, kind.siblings)
                    inherited[row.name] = next((sibling.get(row.name) for sibling in siblings), row.initial)
        inherited.update(port_defaults(kind, is_bridge_port(self.key, self.attributes, state)))
        if self.peer_attributes is None:
            link = Link(self.key, self.kind, {**inherited, **self.attributes})
            return {link.key: link, **cascaded_changes(link, self.attributes, state)}
        inherited.update(mtu=ETHERNET_MTU)
        link = Link(self.key, self.kind, {**inherited, **self.attributes}, carrier=None)
        changes = {link.key: link, **cascaded_changes(link, self.attributes, state)}
        if link.peer is not None:
            peer_attributes = {**inherited, **port_defaults(kind, False), **self.peer_attributes, "peer": self.key}
            changes[link.peer] = Link(link.peer, self.kind, peer_attributes, carrier=None)
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; what it set on its lower device outlives it, and is set back on the links beside it."""
        return (DeleteLink(Link(self.key, self.kind, self.attributes)), *_revert_side_effects(self.side_effects))

    def requests(self) -> list[Request]:
        """One request, and others for what the kernel ignores at creation: then the link comes up last."""
        kind, mode = kind_of(self.kind), AttributeView(self.attributes).mode
        rows = kind.rows(self.attributes)
        later = {
            row.name: self.attributes[row.name]
            for row in rows
            if (row.at is At.AFTER and self.attributes[row.name] != row.initial) or row.ignored_in_mode == mode
        }
        flags = [row.name for row in rows if row.store is Store.FLAG]
        flags_wait = any(kind[name].store is not Store.ADDRESS for name in later)  # addresses follow the flags anyway
        at_creation = {
            row.name: self.attributes[row.name]
            for row in rows
            if row.at is not At.AFTER
            and row.name not in later
            and not (flags_wait and row.name in flags)
            and row.is_accepted_in(mode)
        }
        peer = AttributeView(self.attributes).peer
        if self.peer_attributes is not None:
            at_creation.pop("peer")
        both = (peer, self.peer_attributes) if peer is not None and self.peer_attributes is not None else None
        creation: list[Request] = [NewLink(self.key, self.kind, at_creation, self.index, both, self.peer_index)]
        if not later:
            return creation
        if flags_wait:
            later.update({name: self.attributes[name] for name in flags if self.attributes[name] != kind[name].initial})
        return creation + requests_to_change(Link(self.key, self.kind, {"altnames": ()}), later)


@dataclass(frozen=True)
class UpdateLink(Operation):
    """Change an existing link: `link` as it is before, `after` the attributes to set."""

    link: Link
    after: Attributes
    side_effects: SideEffects = ()

    is_atomic: ClassVar[bool] = False  # the kernel keeps what it has done before it refuses the rest

    @property
    def key(self) -> LinkKey:
        """The link that is changed."""
        return self.link.key

    def __str__(self) -> str:
        return f"set {self.key}: {', '.join(self._describe_changes())}"

    def _describe_changes(self) -> list[str]:
        parts = []
        for row in kind_of(self.link.kind).rows(self.after):
            if row.store is Store.SYSCTL:
                old = self.link.sysctls
                new = AttributeView(self.after).sysctls
                parts += [f"{name} {'' if old.get(name) is None else f'{old[name]} -> '}{new[name]}" for name in new]
            else:
                parts.append(f"{row.name} {row.type.change(self.link.get(row.name), self.after[row.name])}")
        return parts

    def predict(self, state: State) -> Changes:
        """The link afterwards, and what the change does to its lower device, and to the links beside and above it."""
        old = state.get(self.key) or self.link
        after, sysctls = dict(self.after), AttributeView(self.after).sysctls
        if "sysctls" in after:
            after["sysctls"] = {**old.sysctls, **sysctls}
        after = {**kind_of(old.kind).reset_by_mode(old.attributes, after), **after}
        if loses_ipv6_settings(old, after):
            after = {**without_ipv6_settings(old), **after}
            after["sysctls"] = {**AttributeView(without_ipv6_settings(old)).sysctls, **sysctls}
        kind = kind_of(old.kind)
        if "controller" in after:  # every new attachment starts with the defaults
            after = {**port_defaults(kind, is_bridge_port(old.key, after, state)), **after}
        elif "admin_state" in after and old.controller:
            after.setdefault("stp_state", None)
        link = old.with_attributes(after)
        if "admin_state" in self.after:
            link = replace(link, oper_state=None, carrier=None)  # the kernel decides which operational state follows
        changes = {link.key: link, **cascaded_changes(link, self.after, state)}
        for key in self.loses_contents_of(state):
            changed = changes.get(key) or state.get(key)
            if changed is not None:
                changes[key] = _with_kept_addresses(changed, state)
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Set every changed attribute back to what it was, as far as that is known."""
        names, settings = set(self.after), set(AttributeView(self.after).sysctls)
        if "controller" in self.after and self.link.controller:  # the former attachment starts with the defaults again
            names |= set(chosen_attributes(self.link, kind_of(self.link.kind).port))
        if loses_ipv6_settings(self.link, self.after) and has_ipv6(self.link.mtu):  # so they are set back after the MTU
            names |= {"address_generation_mode", "sysctls"}
            settings |= {name for name in self.link.sysctls if name.startswith("ipv6.")}
        before = {row.name: self.link.get(row.name) for row in kind_of(self.link.kind).rows(dict.fromkeys(names))}
        known = self.link.sysctls
        before["sysctls"] = {name: known[name] for name in known if name in settings and known[name] is not None}
        before = {name: value for name, value in before.items() if value not in (None, {})}
        lost = without_ipv6_settings(self.link) if loses_ipv6_settings(self.link, self.after) else {}
        own = (UpdateLink(self.link.with_attributes({**lost, **self.after}), before),) if before else ()
        return (*own, *_revert_side_effects(self.side_effects))

    def requests(self) -> list[Request]:
        """See requests_to_change."""
        return requests_to_change(self.link, self.after)

    def loses_contents_of(self, state: State) -> frozenset[LinkKey]:
        """A link that goes down loses its routes and its IPv6 addresses; one whose MTU is too small for IPv6 loses IPv6."""
        old = state.get(self.key) or self.link
        cascaded = cascaded_changes(old, self.after, state)
        if is_restarted(old, self.after, state):
            down = {"admin_state": "down"}
            cascaded = {**cascaded, **cascaded_changes(old, down, state), old.key: old.with_attributes(down)}
        losing = {key for key, after in cascaded.items() if _loses_contents(state.get(key), after)}
        return frozenset(losing | ({self.key} if loses_ipv6_addresses(self.link, self.after) else set()))

    def loses_only_neighbors_of(self, state: State) -> frozenset[LinkKey]:
        """A link that gets another MAC address or another use of ARP, or is without IPv4 addresses for a moment."""
        before = state.get(self.key) or self.link
        moves = any(name in self.after and self.after[name] != before.get(name) for name in ("address", "arp"))
        replaces = "addresses" in self.after and replaces_only_address(before.addresses, AttributeView(self.after).addresses)
        return frozenset({self.key} if moves or replaces else set())

    def affects_links_above(self) -> bool:
        """A smaller MTU is that of the links above as well, and stays when the MTU grows again."""
        return (AttributeView(self.after).mtu or 0) < (self.link.mtu or 0) and "mtu" in self.after


@dataclass(frozen=True)
class DeleteLink(Operation):
    """Delete a link.

    contents: the addresses, routes and settings of the link. cascaded: the links that the kernel deletes with it, each with
    its contents. reason: the end of the sentence.
    """

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
        """The link is gone, with its peer and all links above both; the lower device of a passthru link has its own MAC again."""
        changes: dict[LinkKey, Link | None] = {link.key: None for link in [self.link, *all_links_above(self.key, state)]}
        peer = state.get(self.link.peer)
        if peer is not None:
            changes.update({link.key: None for link in [peer, *all_links_above(peer.key, state)]})
        lower = state.get(self.link.lower_device)
        if lower is not None and self.link.mode == PASSTHRU:
            changes[lower.key] = lower.with_attributes({"address": None})
        for port in state.attached_to(self.key):
            if port.key not in changes:
                detached = port.with_attributes({"controller": "", **port_defaults(kind_of(port.kind), False)})
                changes[port.key] = _with_kept_addresses(detached, state) if self._restarts(port) else detached
        bridge = state.get(LinkKey(self.key.netns, self.link.controller or ""))
        if bridge is not None:
            changes.update({key: after for key, after in changes_of_bridge(bridge, state).items() if key not in changes})
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Create every deleted link again with its former index, attributes and contents."""
        operations: list[Operation] = []
        for link, contents in [(self.link, self.contents), *self.cascaded]:
            attributes = chosen_attributes(link, kind_of(link.kind).attributes)
            if contents.sysctls:
                attributes["sysctls"] = dict(contents.sysctls)
            if link.peer == self.key:  # it is created together with its peer
                at_creation = peer_creation_attributes(link.kind, link.attributes)
                rest = {name: value for name, value in attributes.items() if name != "peer" and name not in at_creation}
                operations += [UpdateLink(Link(link.key, link.kind, {"altnames": (), **at_creation}), rest)] if rest else []
            else:
                peer = next((other for other, _contents in self.cascaded if other.peer == link.key), None)
                operations.append(
                    CreateLink(
                        link.key,
                        link.kind,
                        attributes,
                        link.index,
                        peer_attributes=None if peer is None else peer_creation_attributes(peer.kind, peer.attributes),
                        peer_index=None if peer is None else peer.index,
                    )
                )
            if contents.addresses or contents.routes or contents.neighbors:
                operations.append(RestoreContents(link.key, contents.addresses, contents.routes, neighbors=contents.neighbors))
        return (*operations, *_revert_side_effects(self.side_effects))

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveLink(self.key)]

    def loses_contents_of(self, state: State) -> frozenset[LinkKey]:
        """All links that are deleted, and those that a VRF loses."""
        deleted = {key for key, link in self.predict(state).items() if link is None}
        return frozenset(deleted | {port.key for port in state.attached_to(self.key) if self._restarts(port)})

    def _restarts(self, port: Link) -> bool:
        """Whether the kernel brings a link down and up again that was attached to the deleted one; see is_restarted."""
        return kind_of(self.link.kind).has_routing_table and port.admin_state == "up"


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
        """The link under its new name, and everything that refers to it."""
        new = replace(self.key, name=self.name)
        link = state.get(self.key) or self.link
        changes: dict[Any, Any] = {self.key: None, new: replace(link, key=new)}
        peer = state.get(link.peer)
        if peer is not None:
            changes[peer.key] = peer.with_attributes({"peer": new})
        for upper in state.links_on(self.key):
            changes[upper.key] = upper.with_attributes({"lower_device": new})
        for port in state.attached_to(self.key):
            changes[port.key] = port.with_attributes({"controller": self.name})
        for port in state.attached_to(LinkKey(self.key.netns, link.controller or "")):
            if port.get("backup_port") == self.key.name:
                changes[port.key] = port.with_attributes({"backup_port": self.name})
        for route in state.routes_through(self.key):
            routes = changes.get(route.key, state.routes[route.key])
            changes[route.key] = tuple(by_renamed_link(each, self.key, self.name) for each in routes)
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """The old name."""
        return (Rename(replace(self.link, key=replace(self.key, name=self.name)), self.key.name),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RenameLink(self.key, self.name)]


def side_effects_of(operation: Operation, state: State) -> SideEffects:
    """What an operation will change on links that stay, other than the link that it is about."""
    side_effects = []
    for key, after in operation.predict(state).items():
        before = state.get(key) if isinstance(key, LinkKey) else None
        if before is None or after is None or key == getattr(operation, "key", None):
            continue
        kind = kind_of(before.kind)
        rows = [row for row in kind.attributes if after.get(row.name) is not None or row.store is Store.PORT]
        # Addresses are restored as contents of the link; a shared MAC address is restored with that of the lower device.
        shared = "address" if shares_address(kind, before.attributes) else None
        rows = [row for row in rows if row.name != shared and row.store is not Store.ADDRESS]
        if loses_ipv6_settings(before, after.attributes):
            rows.append(kind["address_generation_mode"])
        known = chosen_attributes(before, rows, with_initial=True)
        changed = {name: value for name, value in known.items() if after.get(name) != value}
        if changed:
            side_effects.append((after, changed))
    return tuple(side_effects)


def _loses_contents(before: Link | None, after: Link) -> bool:
    """Whether a link that the kernel changes along with another one goes down, or loses IPv6."""
    if before is None:
        return False
    goes_down = "down" == after.admin_state != before.admin_state
    return goes_down or (has_ipv6(before.mtu) and not has_ipv6(after.mtu))


def _with_kept_addresses(link: Link, state: State) -> Link:
    """The link without the IPv6 addresses that it loses as it goes down or loses IPv6, as far as its addresses are known."""
    if link.get("addresses") is None:  # not known
        return link
    keeps_ipv6 = not is_without_ipv6(link.attributes) and keeps_addresses_when_down(link.key, state)
    kept = tuple(
        address
        for address in link.addresses
        if address.family == 4 or (keeps_ipv6 and owner(address) == STATIC and not is_link_local(address.ip))
    )
    return link.with_attributes({"addresses": kept})


def keeps_addresses_when_down(key: LinkKey, state: State) -> bool:
    """Whether the kernel keeps the static global IPv6 addresses of a link that goes down. For that its settings must be known."""
    general = state.sysctls.get((key.netns, "all", _KEEP_ADDRESSES)) or 0
    return (general or state.settings.get(key, {}).get(_KEEP_ADDRESSES, 0)) > 0


def _revert_side_effects(side_effects: SideEffects) -> list[Operation]:
    return [UpdateLink(after, before) for after, before in side_effects]


def initial_attributes(kind: str, lower: Link | None) -> dict[str, object]:
    """The attributes that every new link of a kind has on this lower device, as far as they are known."""
    initial = {row.name: row.initial for row in kind_of(kind).attributes if row.initial is not None}
    return {**initial, "mtu": lower.mtu if lower is not None else None}


def chosen_attributes(link: Link, rows: Iterable[Attribute], with_initial: bool = False) -> dict[str, object]:
    """The attributes of a link that differ from those of a new link; with_initial: outside of port settings, the others too."""
    chosen = {}
    for row in rows:
        value = link.get(row.name)
        ordinary = (None,) if with_initial and row.store is not Store.PORT else (None, row.initial, row.usual)
        if value not in ordinary and not row.derived:
            chosen[row.name] = value
    return chosen


def peer_creation_attributes(kind: str, attributes: Attributes) -> dict[str, object]:
    """What the request that creates a pair sets on its other end: no flags, and nothing that the kernel ignores there."""
    names = [row.name for row in kind_of(kind).rows(attributes) if row.store is Store.MESSAGE and row.at is not At.AFTER]
    return {name: attributes[name] for name in names if attributes[name] is not None}


def by_renamed_link(route: Route, link: LinkKey, name: str) -> Route:
    """The route after this link was renamed."""
    return replace(route, attributes={**route.attributes, "link": name}) if route.link == link else route
