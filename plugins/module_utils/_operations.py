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

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import (
    PASSTHRU,
    SOURCE,
    At,
    Attribute,
    Store,
    kind_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    Address,
    Attributes,
    Carried,
    Link,
    LinkKey,
    Route,
    State,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    NewLink,
    RemoveAltname,
    RemoveLink,
    Request,
    SetLink,
    WriteSysctl,
)

Changes = Mapping[LinkKey, Optional[Link]]

IPV6_MINIMUM_MTU = 1280  # RFC 8200, section 5: below it the kernel takes IPv6 off the link


@dataclass(frozen=True)
class CreateLink:
    """Make a link with these attributes; index None lets the kernel choose."""

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None

    def __str__(self) -> str:
        lower = self.attributes.get("lower_device")
        rest = {name: value for name, value in self.attributes.items() if name != "lower_device"}
        words = [f"{self.kind} on {lower}" if lower else self.kind, *_say(self.kind, rest)]
        return f"create {self.key}: {', '.join(words)}"

    def predict(self, state: State) -> Changes:
        """The new link with what it inherits, and what its creation does to its lower device and its siblings."""
        kind = kind_of(self.kind)
        found = {row.name: row.initial for row in kind.attributes if row.initial is not None}
        lower = state.get(self.attributes.get("lower_device"))
        if lower is not None:
            found["mtu"] = lower.get("mtu")
            if self.attributes.get("mode") == PASSTHRU:
                found["address"] = lower.get("address")
            for row in kind.attributes:
                if row.per_lower_device:
                    found[row.name] = next((sibling.get(row.name) for sibling in state.above(lower.key)), row.initial)
        link = Link(self.key, self.kind, {**found, **self.attributes})
        return {link.key: link, **_along(link, self.attributes, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it."""
        return (DeleteLink(Link(self.key, self.kind, self.attributes)),)

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
        first: list[Request] = [NewLink(self.key, self.kind, at_once, self.index)]
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
        link = old.with_attributes(after)
        if "admin_state" in self.after:
            link = replace(link, oper_state=None, carrier=None)  # what it makes of that is up to the kernel
        return {link.key: link, **_along(link, self.after, state)}

    def inverse(self) -> tuple[Operation, ...]:
        """Set everything back to what it was; what was not known cannot be."""
        names, settings = set(self.after), set(self.after.get("sysctls", {}))
        if _loses_ipv6_settings(self.link, self.after) and _has_ipv6(self.link.get("mtu")):  # and so gets them back last
            names |= {"address_generation_mode", "sysctls"}
            settings |= {name for name in self.link.get("sysctls") or {} if name.startswith("ipv6.")}
        before = {row.name: self.link.get(row.name) for row in kind_of(self.link.kind).rows(dict.fromkeys(names))}
        known = before.get("sysctls") or {}
        before["sysctls"] = {name: known[name] for name in known if name in settings and known[name] is not None}
        before = {name: value for name, value in before.items() if value not in (None, {})}
        lost = _without_ipv6_settings(self.link) if _loses_ipv6_settings(self.link, self.after) else {}
        return (UpdateLink(self.link.with_attributes({**lost, **self.after}), before),) if before else ()

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
    """Delete a link. `carried` and `along` are what goes with it: what lived on it, and the links that sat on it."""

    link: Link
    carried: Carried = field(default_factory=Carried)
    along: tuple[tuple[Link, Carried], ...] = ()
    why: str = ""

    @property
    def key(self) -> LinkKey:
        """The link that is deleted."""
        return self.link.key

    def __str__(self) -> str:
        return f"delete {self.key}{self.why}"

    def predict(self, state: State) -> Changes:
        """The link and all that sits on it are gone; a passthru link gives its lower device the old MAC back."""
        changes: dict[LinkKey, Link | None] = {link.key: None for link in [self.link, *_all_above(self.key, state)]}
        lower = state.get(self.link.get("lower_device"))
        if lower is not None and self.link.get("mode") == PASSTHRU:
            changes[lower.key] = lower.with_attributes({"address": None})
        return changes

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again, under its old index, with all that was on it."""
        found: list[Operation] = []
        for link, carried in [(self.link, self.carried), *self.along]:
            rows = kind_of(link.kind).attributes
            known = {row.name: link.get(row.name) for row in rows if link.get(row.name) not in (None, row.initial)}
            if carried.sysctls:
                known["sysctls"] = dict(carried.sysctls)
            found.append(CreateLink(link.key, link.kind, known, link.index))
            if carried.addresses or carried.routes:
                found.append(Restore(link.key, carried.addresses, carried.routes))
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


Operation = Union[CreateLink, UpdateLink, DeleteLink, Restore]


def _settings(link: Link, after: Attributes) -> list[Request]:
    """The requests that change a link, ordered so that each takes effect.

    A set request is not atomic, and the kernel ends it with flags and controller in an order of its own. So all that must
    hold before the link comes up (an address generation mode, sysctls) is asked for first, and flags come last. Except
    nopromisc on a passthru link that comes up: the kernel counts it right only while the link is up.
    """
    kind = kind_of(link.kind)
    rows = kind.rows(after)
    mode = after.get("mode", link.get("mode"))
    flags = {row.name: after[row.name] for row in rows if row.store is Store.FLAG}
    words = {
        row.name: after.get(row.name, link.get(row.name) or False) for row in kind.attributes if row.store is Store.DATA_FLAG
    }
    words = words if any(name in after for name in words) else {}
    message = {
        row.name: after[row.name]
        for row in rows
        if row.store not in (Store.FLAG, Store.DATA_FLAG, Store.ALTNAME, Store.SYSCTL, Store.INET6)
        and _meant(row, {"mode": mode})
    }
    last: list[Request] = []
    if words and mode == PASSTHRU and flags.get("admin_state") == "up":
        last = [SetLink(link.key, link.kind, words)]
    else:
        message.update(words)
    # On its own: the kernel looks whether the link has IPv6 before it applies an MTU of the same request.
    inet6 = {row.name: after[row.name] for row in rows if row.store is Store.INET6}
    requests: list[Request] = [SetLink(link.key, link.kind, part) for part in (message, inet6) if part]
    if "altnames" in after:
        old = link.get("altnames") or ()
        requests += [RemoveAltname(link.key, name) for name in old if name not in after["altnames"]]
        requests += [AddAltname(link.key, name) for name in after["altnames"] if name not in old]
    requests += [WriteSysctl(link.key, name, value) for name, value in after.get("sysctls", {}).items()]
    if flags:
        requests.append(SetLink(link.key, link.kind, flags))
    return requests + last


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
    for upper in state.above(link.key):
        mtu = changed.get("mtu")
        if mtu and (upper.get("mtu") or 0) > mtu:  # lowered along with it, but not raised
            settings = _without_ipv6_settings(upper) if _loses_ipv6_settings(upper, {"mtu": mtu}) else {}
            upper = found[upper.key] = upper.with_attributes({"mtu": mtu, **settings})
        if "admin_state" in changed:  # what it makes of that is up to the kernel
            found[upper.key] = replace(upper, oper_state=None)
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
