# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declarations after a task: those of before, with the desired state of the task merged into them. Pure.

A task with `persist` changes the declarations of the objects that it names; without it, declarations only change where keeping
them would restore what the task removes: of an object that is absent, and of a port that leaves its bridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import (
    REPLAY,
    bare_end,
    has_source_routing,
    path_of,
    peer_of,
    to_text,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import draws_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import NEXT_HOP, REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    overlay,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, Link, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RuleKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State

NONE = "none"  # the value of `persist` that removes a declaration
_DIRECTION = (*NEXT_HOP, "type", "scope", "onlink")  # where a route leads


@dataclass(frozen=True)
class Merged:
    """The declarations after a task.

    names: the objects whose declarations the task decides on. renamed: the ends of veth pairs that have another key now, by the
    former one.
    """

    items: Mapping[DesiredKey, Desired]
    names: frozenset[DesiredKey] = frozenset()
    renamed: Mapping[DesiredKey, LinkKey] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def merge_task(declared: Mapping[DesiredKey, Desired], desired: Sequence[Desired], after: State) -> Merged:
    """The declarations of before with those of a task, whose items are merged; after: the state that the task leads to.

    InvalidValue for what cannot be declared.
    """
    items = _with_common_persist(desired)
    removed = _removed(declared, items)
    merged = {key: item for key, item in declared.items() if key not in removed}
    renamed = _renamed_ends(merged, items)
    for old, new in renamed.items():
        merged[new] = _with_key(merged.pop(old), new)
    other_ends = _other_ends(merged.values())
    warnings: list[str] = []
    for item in items:
        if not item.present or item.persist == NONE:
            continue
        earlier = merged.pop(item.key, None)
        if _leaves_bridge(item):
            earlier, item = _detached(earlier), _without_controller(item)
            if earlier is None and _is_empty(item):
                continue
        if item.persist is not None:
            _check_namespaces(item)
            earlier = earlier or _undeclared_end(item.key, other_ends, merged)
            merged[item.key] = completed(overlaid(earlier, item), after)
        elif earlier is not None:
            warnings += _differs(earlier, item)
            merged[item.key] = earlier
    persisted = [item.key for item in items if item.present and item.persist not in (None, NONE)]
    for key in persisted:
        _pair_up(key, merged, after)
    other_ends = _other_ends(merged.values())
    names = {*removed, *persisted, *(other_ends[key] for key in persisted if key in other_ends)}
    kept = {key: item for key, item in merged.items() if not _is_stale(item, merged, names)}
    return Merged(kept, frozenset(names), renamed, (*warnings, *_missing_namespaces(desired, kept)))


# --- pairs ---


def _with_common_persist(desired: Sequence[Desired]) -> list[Desired]:
    """The items of a task; both ends of a veth pair are restored by the same boot backend, whichever of them names it."""
    by_key = {item.key: item for item in desired}

    def persist_of(item: Desired) -> str | None:
        peer = peer_of(item)
        other = by_key.get(peer) if peer is not None else None
        if not isinstance(other, DesiredLink):
            return item.persist
        first, second = (other, item) if other.is_primary_end else (item, other)
        return first.persist or second.persist

    return [replace(item, persist=persist_of(item)) for item in desired]


def _other_ends(items: Iterable[Desired]) -> dict[DesiredKey, LinkKey]:
    """The other end of each declared pair, by either end."""
    other_ends: dict[DesiredKey, LinkKey] = {}
    for item in items:
        peer = peer_of(item)
        if isinstance(item, DesiredLink) and peer is not None:
            other_ends[item.key] = peer
            other_ends.setdefault(peer, item.key)
    return other_ends


def _renamed_ends(declared: Mapping[DesiredKey, Desired], items: Iterable[Desired]) -> dict[DesiredKey, LinkKey]:
    """The ends of veth pairs that have another key now: in the task they are the peer of an end that is declared with another."""
    renamed: dict[DesiredKey, LinkKey] = {}
    for item in items:
        peer = peer_of(item)
        if item.persist in (None, NONE) or peer is None or not isinstance(item, DesiredLink):
            continue
        former = peer_of(declared.get(peer))
        if former is not None and former != item.key and former in declared:
            renamed[former] = item.key
    return renamed


def _with_key(item: Desired, key: LinkKey) -> Desired:
    return replace(item, key=key) if isinstance(item, DesiredLink) else item


def _undeclared_end(
    key: DesiredKey, other_ends: Mapping[DesiredKey, LinkKey], declared: Mapping[DesiredKey, Desired]
) -> DesiredLink | None:
    """The end of a pair whose other end alone is declared, for its own file is damaged."""
    other = declared.get(other_ends[key]) if key in other_ends else None
    return bare_end(other, key) if isinstance(other, DesiredLink) and isinstance(key, LinkKey) and peer_of(other) == key else None


def _pair_up(key: DesiredKey, declared: dict[DesiredKey, Desired], after: State) -> None:
    """Declare the other end of a veth pair too: by the same boot backend, with what is declared of it already."""
    item = declared.get(key)
    peer = peer_of(item)
    if isinstance(item, DesiredLink) and peer is not None:
        declared[peer] = completed(overlaid(declared.get(peer), bare_end(item, peer)), after)


def _is_stale(item: Desired, declared: Mapping[DesiredKey, Desired], names: set[DesiredKey]) -> bool:
    """Whether it is the end of a pair whose other end the task has made the end of another one, or another kind of link."""
    peer = peer_of(item)
    return peer in names and peer in declared and peer_of(declared[peer]) != item.key


# --- which declarations go ---


def _removed(declared: Mapping[DesiredKey, Desired], items: Iterable[Desired]) -> set[DesiredKey]:
    """The objects that the task does not want to be restored, and those that the kernel deletes with them."""
    other_ends = _other_ends(declared.values())

    def with_other_ends(keys: Iterable[DesiredKey]) -> set[DesiredKey]:
        return {end for key in keys for end in (key, other_ends.get(key)) if end is not None}

    absent = with_other_ends(item.key for item in items if not item.present)
    present = {item.key for item in items if item.present}
    cascaded = {
        key
        for key, item in declared.items()
        if _namespaces(item) & absent or (isinstance(item, DesiredRoute) and item.link in absent and key not in present)
    }
    absent_rules = [item.key for item in items if isinstance(item, DesiredRule) and not item.present]
    cascaded |= {key for key in declared if isinstance(key, RuleKey) and any(rule.covers(key) for rule in absent_rules)}
    return absent | cascaded | with_other_ends(item.key for item in items if item.persist == NONE)


def _namespaces(item: Desired) -> set[DesiredKey]:
    """The namespaces with which the kernel deletes an object."""
    if isinstance(item, DesiredNetns):
        return set()
    peer = peer_of(item)
    return {NetnsKey(key.netns) for key in (item.key, peer) if key is not None and key.netns}


# --- what a declaration says afterwards ---


def overlaid(earlier: Desired | None, item: Desired) -> Desired:
    """A declaration with what a task sets of the object."""
    if earlier is None or isinstance(item, DesiredRule):  # a rule is all of its parts together
        return item
    if isinstance(earlier, DesiredLink) and isinstance(item, DesiredLink):
        if earlier.kind and item.kind and earlier.kind != item.kind:
            return item
        if item.sysctls:  # each of them is an attribute of its own
            item = replace(item, attributes={**item.attributes, "sysctls": {**earlier.sysctls, **item.sysctls}})
        if item.altnames and not item.policy.altnames_exact:
            altnames = tuple(sorted({*earlier.altnames, *item.altnames}))
            item = replace(item, attributes={**item.attributes, "altnames": altnames})
    if isinstance(earlier, DesiredRoute) and _sets_direction(item):
        remaining = {name: value for name, value in earlier.attributes.items() if name not in _DIRECTION}
        earlier = replace(earlier, attributes=remaining)
    return overlay(earlier, item)


def _sets_direction(item: Desired) -> bool:
    """Whether the task sets where a route leads: next hop and type are one value, which is replaced as a whole."""
    return item.attributes.get("type") in REJECTS or any(name in item.attributes for name in NEXT_HOP)


def completed(item: Desired, after: State) -> Desired:
    """A declaration with what a task need not set of an object that exists, and restoring the object needs."""
    added: Mapping[str, object] = {}
    if isinstance(item, DesiredRoute):
        added = _direction(item, after)
    elif isinstance(item, DesiredLink):
        link = after.get(item.key)
        added = dict(_needed(item, link)) if link is not None else {}
    if not added or isinstance(item, DesiredNetns):
        return item
    return replace(item, attributes={**added, **item.attributes})


def _direction(item: DesiredRoute, after: State) -> dict[str, object]:
    """Where the route with this key leads, if there is one."""
    routes = after.at(item.key)
    if len(routes) != 1 or any(name in item.attributes for name in ("type", *NEXT_HOP)):
        return {}
    direction = {name: routes[0].get(name) for name in ("type", *NEXT_HOP) if routes[0].get(name) is not None}
    if routes[0].get("onlink"):  # without it the kernel refuses the gateway
        direction["onlink"] = True
    return direction


def _needed(item: DesiredLink, link: Link) -> Iterator[tuple[str, object]]:
    kind = kind_of(item.kind or "")
    if link.controller and any(row.name in item.attributes for row in kind.port):
        yield "controller", link.controller  # the settings of a port can only be set on a port
    if item.kind is None:
        return
    for row in kind.options:
        value = link.get(row.name)
        differs_from_initial = row.at is At.CREATION and row.initial is not None and value != row.initial
        if value is not None and (differs_from_initial or row.is_declared or row.name in kind.needs):
            yield row.name, value
    if draws_address(kind, link.attributes) and link.address is not None:
        yield "address", link.address


def _leaves_bridge(item: Desired) -> bool:
    """Whether the task detaches a link from its controller, so that it must not be attached again at the next boot."""
    is_detached = isinstance(item, DesiredLink) and item.controller == ""
    return is_detached and (item.kind is None or item.persist is not None)


def _detached(earlier: Desired | None) -> DesiredLink | None:
    """The declaration of a link that is no longer a bridge port; None for a link of others of which nothing else is declared."""
    if not isinstance(earlier, DesiredLink):
        return None
    item = replace(earlier, attributes=without_port(earlier))
    return None if _is_empty(item) else item


def _is_empty(item: Desired) -> bool:
    """Whether there is nothing to restore: a link that others create, of which nothing is set."""
    if not isinstance(item, DesiredLink) or item.kind is not None:
        return False
    return not item.attributes and item.dhcp4 is None and not has_source_routing(item)


def without_port(item: DesiredLink) -> Attributes:
    """The attributes of a link without those that it has as a port."""
    port = {"controller", *(row.name for row in kind_of(item.kind or "").port)}
    return {name: value for name, value in item.attributes.items() if name not in port}


def _without_controller(item: Desired) -> Desired:
    """A link that others create is declared by what it has, not by what it has no longer."""
    if not isinstance(item, DesiredLink) or item.kind is not None:
        return item
    return replace(item, attributes={name: value for name, value in item.attributes.items() if name != "controller"})


# --- what a user has to know ---


def _differs(earlier: Desired, item: Desired) -> Iterator[str]:
    """A warning where a task without `persist` and the declaration contradict each other."""
    if to_text(overlaid(earlier, item)) != to_text(earlier):
        yield (
            f"{item.key}: the declaration for the next boot ({path_of(item.key, earlier.persist or REPLAY)}) differs from this "
            f"task. Set persist: {earlier.persist} to update it, or persist: none to delete it"
        )


def _check_namespaces(item: Desired) -> None:
    for netns in _namespaces_needed(item):
        if netns.startswith("/"):
            raise InvalidValue(
                f"{item.key}: persist: the namespace {netns} has no name, and its path may be another one after the next boot. "
                "Give it a name in /run/netns"
            )


def _missing_namespaces(desired: Iterable[Desired], kept: Mapping[DesiredKey, Desired]) -> Iterator[str]:
    """A warning for each object that is restored only after another program has created its namespace."""
    for item in desired:
        if item.persist != REPLAY or not item.present:
            continue
        for netns in _namespaces_needed(item):
            if netns and NetnsKey(netns) not in kept:
                yield (
                    f"{item.key}: the namespace {netns} is not declared for the next boot, and the object is not restored before "
                    f"the namespace exists. Declare it: netns: [{{name: {netns}, persist: replay}}]"
                )


def _namespaces_needed(item: Desired) -> list[str]:
    """The namespaces of an object, its lower device and its peer."""
    if isinstance(item, DesiredNetns):
        return []
    keys = [item.key, *((item.lower_device, item.peer) if isinstance(item, DesiredLink) else ())]
    return list(dict.fromkeys(key.netns for key in keys if key is not None))
