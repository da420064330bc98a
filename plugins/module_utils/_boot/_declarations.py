# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations: what is saved of an object, so that the same engine brings it back at the next boot. Pure.

A declaration is a piece of a topology in the words of its options, as a user would write it in a task, one file per object. At
boot all pieces together are one topology.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import draws_address
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import NEXT_HOP, REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOOKUP, Route, RuleKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values import _dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference

OURS = "/etc/patchbay"
FOLDER = f"{OURS}/replay.d"
MANAGERS = ("networkd", "networkmanager")  # backends that make files of a manager out of declarations; each has a folder of them
FORMAT = 1
Fragment = dict[str, list[dict[str, Any]]]  # list of a topology -> entries
_LISTS = {"netns", *KINDS, LINK.name, "bridge_port", "routes", "rules"}
_NAMED = {"bridge_port": "port", "routes": "destination", "rules": "priority"}  # what an entry is called, where that is not name


def folder_of(backend: str) -> str:
    """Where the declarations of a backend are."""
    return f"{OURS}/{backend}.d"


def backend_of(path: str) -> str:
    """The backend that a declaration is for; "" for a file that is none."""
    return path[len(OURS) + 1 :].partition(".d/")[0] if path.startswith(f"{OURS}/") else ""


def placed(path: str, backend: str) -> str:
    """The file of a declaration, by its path, with this backend."""
    return f"{folder_of(backend)}/{path.rpartition('/')[2]}"


def path_of(key: Any) -> str:
    """The file of an object's declaration, as long as nothing is said of its backend."""
    if isinstance(key, NetnsKey):
        return f"{FOLDER}/netns-{_quoted(key.name)}.json"
    place = f"{_quoted(key.netns)}@" if key.netns else ""
    if isinstance(key, LinkKey):
        return f"{FOLDER}/link-{place}{_quoted(key.name)}.json"
    if isinstance(key, RuleKey):
        selectors = {name: kind_of("rule")[name].type.describe(value) for name, value in key.selectors or ()}
        words = [key.action] if key.action not in (None, LOOKUP) else []
        words += [f"{name}={_quoted(text).replace('/', '_').replace(',', '%2c')}" for name, text in selectors.items()]
        return f"{FOLDER}/rule-{place}ipv{key.family}-{key.priority}{'-' if words else ''}{','.join(words)}.json"
    destination = key.destination.replace("/", "_")
    return f"{FOLDER}/route-{place}{destination}-table-{key.table}-metric-{key.metric}.json"


def _quoted(name: str) -> str:
    """The name of a link may have an @ of its own."""
    return name.replace("%", "%25").replace("@", "%40")


def written(item: Desired, others: Mapping[Any, Desired], earlier: Fragment) -> Fragment:
    """What a task wrote of an object. others: the other end of a pair, by key; earlier: what was saved of it before."""
    if isinstance(item, DesiredNetns):
        return {"netns": [{"name": item.key.name}]}
    key = item.key
    place = {"netns": key.netns} if key.netns else {}
    rows = kind_of(item.kind or "").rows(item.attributes)
    values = {row.name: row.type.saved(item.attributes[row.name]) for row in rows if not isinstance(row.type, Reference)}
    if isinstance(item, DesiredRoute):
        key = item.key
        own = {"destination": key.destination, "family": f"ipv{key.family}", "table": str(key.table), "metric": key.metric}
        return {"routes": [{**own, **place, **values}]}
    if isinstance(item, DesiredRule):
        return {"rules": [{"priority": item.key.priority, "family": f"ipv{item.key.family}", **place, **values}]}
    link = item.key
    kind = item.kind or next((name for name in earlier if name != "bridge_port"), LINK.name)
    own = {name: value for name, value in values.items() if name not in _of_ports(kind)}
    own.update(_references(item))
    peer = others.get(item.attributes.get("peer"))
    if isinstance(peer, DesiredLink):
        own["peer"] = _end(peer)
    if item.policy.lower_device_state:
        own["lower_device_state"] = item.policy.lower_device_state
    if item.policy.allow_wireless:
        own["allow_wireless"] = True
    own.update(_service(item))
    found: Fragment = {kind: [{"name": link.name, **place, **own}]}
    ports = [_port(end, kind) for end in (item, peer) if isinstance(end, DesiredLink) and _of_ports(kind) & end.attributes.keys()]
    return {**found, "bridge_port": ports} if ports else found


def _of_ports(kind: str) -> set[str]:
    return {row.name for row in PORT} - {row.name for row in kind_of(kind).options}


def _port(item: DesiredLink, kind: str) -> dict[str, Any]:
    place = {"netns": item.key.netns} if item.key.netns else {}
    rows = [row for row in kind_of(item.kind or "").rows(item.attributes) if row.name in _of_ports(kind)]
    return {"port": item.key.name, **place, **{row.name: row.type.saved(item.attributes[row.name]) for row in rows}}


def _references(item: DesiredLink) -> dict[str, Any]:
    lower = item.attributes.get("lower_device")
    found: dict[str, Any] = {"lower_device": lower.name} if lower else {}
    if lower is not None and lower.netns:
        found["lower_device_netns"] = lower.netns
    return found


def _service(item: DesiredLink) -> dict[str, Any]:
    return {} if item.dhcp4 is None else {"dhcp4": _dhcp4.saved(item.dhcp4)}


def _end(peer: DesiredLink) -> dict[str, Any]:
    place = {"netns": peer.key.netns} if peer.key.netns else {}
    rows = [row for row in kind_of(peer.kind or "").rows(peer.attributes) if row.store not in (Store.PEER, Store.PORT)]
    values = {row.name: row.type.saved(peer.attributes[row.name]) for row in rows}
    return {"name": peer.key.name, **place, **values, **_service(peer)}


def completed(fragment: Fragment, link: Link | None, end: Link | None) -> Fragment:
    """With what bringing a link back needs besides: its lower device, its other end, its mode, and the MAC that it has."""
    kind = next((name for name in fragment if name != "bridge_port"), "")
    if link is None or not kind:
        return fragment
    entry = dict(fragment[kind][0])
    ports = [_place(port) for port in fragment.get("bridge_port", ())]
    if _place(entry) in ports and link.get("controller"):  # of what is no port, nothing of a port can be set
        entry.setdefault("controller", link.get("controller"))
    if kind_of(kind) is LINK:
        return {**fragment, kind: [entry]}
    lower = link.get("lower_device")
    if lower is not None and "lower_device" not in entry:
        entry["lower_device"] = lower.name
        if lower.netns:
            entry["lower_device_netns"] = lower.netns
    for row in kind_of(kind).options:
        unusual = row.at is At.CREATION and row.initial is not None and link.get(row.name) != row.initial
        needed = unusual or row.name in (*kind_of(kind).needs, "mode")
        if needed and row.name not in entry and not isinstance(row.type, Reference) and link.get(row.name) is not None:
            entry[row.name] = row.type.saved(link.get(row.name))
    if draws_address(kind_of(kind), link.attributes) and link.get("address") is not None:
        entry.setdefault("address", link.get("address"))
    if end is not None:
        peer = {"name": end.key.name, **({"netns": end.key.netns} if end.key.netns else {}), **(entry.get("peer") or {})}
        if end.get("address") is not None:
            peer.setdefault("address", end.get("address"))
        if _place(peer) in ports and end.get("controller"):
            peer.setdefault("controller", end.get("controller"))
        entry["peer"] = peer
    return {**fragment, kind: [entry]}


def directed(fragment: Fragment, route: Route | None) -> Fragment:
    """With where a route leads, which a task need not have written of one that is there."""
    (entry,) = fragment["routes"]
    if route is None or any(name in entry for name in ("type", *NEXT_HOP)):
        return fragment
    there = {name: route.get(name) for name in ("type", *NEXT_HOP) if route.get(name) is not None}
    if route.get("onlink"):  # without which the kernel would not take the gateway
        there["onlink"] = True
    return {"routes": [{**entry, **there}]}


def turned(fragment: Fragment) -> Fragment:
    """The declaration of a pair, as seen from the other end."""
    (entry,) = fragment["veth"]
    own = {name: value for name, value in entry.items() if name != "peer"}
    return {**fragment, "veth": [{**entry["peer"], "peer": own}]}


def as_seen_from(fragment: Fragment, key: LinkKey, peer: LinkKey | None) -> Fragment:
    """The declaration of a pair as seen from the end `key`, of which perhaps only the other end is known by its name."""
    own, other = ((key.name, key.netns), (peer.name, peer.netns) if peer else None)
    (entry,) = fragment["veth"]
    from_there = own != _place(entry) and (own == _place(entry["peer"]) or other == _place(entry))
    return turned(fragment) if from_there else fragment


def renamed(fragment: Fragment, key: LinkKey, peer: LinkKey | None) -> Fragment:
    """The declaration of a pair, as seen from `key`, with the names that its ends have now."""
    (entry,) = fragment["veth"]
    end = entry["peer"]
    there = peer or LinkKey(end.get("netns") or "", end["name"])
    names = {_place(entry): key, _place(end): there}
    found: Fragment = {"veth": [{**_named(entry, key, "name"), "peer": _named(end, there, "name")}]}
    ports = [_named(port, names[_place(port)], "port") for port in fragment.get("bridge_port", ())]
    return {**found, "bridge_port": ports} if ports else found


def _named(entry: Mapping[str, Any], key: LinkKey, word: str) -> dict[str, Any]:
    found = {name: value for name, value in entry.items() if name != "netns"}
    return {**found, word: key.name, **({"netns": key.netns} if key.netns else {})}


def detached(fragment: Fragment, key: LinkKey) -> Fragment:
    """Of a link that is no port any more; of one that is not ours, only what else was declared."""
    found = {name: [dict(entry) for entry in entries] for name, entries in fragment.items()}
    for entry in (entry for name, entries in found.items() if name != "bridge_port" for entry in entries):
        entry.pop("controller", None)
    ports = found.pop("bridge_port", [])
    ports = [entry for entry in ports if (entry["port"], entry.get("netns") or "") != (key.name, key.netns)]
    if not any(entry.keys() - {"name", "netns"} for entry in found.get(LINK.name, [])):
        found.pop(LINK.name, None)
    return {**found, "bridge_port": ports} if ports else found


def overlaid(earlier: Fragment, new: Fragment) -> Fragment:
    """What was saved before, with what was written now."""
    (kind,) = [name for name in new if name != "bridge_port"] or [""]
    (old,) = [name for name in earlier if name != "bridge_port"] or [""]
    found = {name: [dict(entry) for entry in entries] for name, entries in earlier.items()}
    if kind and old == LINK.name:  # words about any link are words about this one
        found = {kind if name == old else name: entries for name, entries in found.items()}
    elif kind and old and kind != old:
        found = {}
    for name, entries in new.items():
        merge = _OVERLAYS.get(name, _merged)
        before = found.pop(name, [])
        if name == "bridge_port":  # of a pair, each end may be one
            places = [_place(entry) for entry in entries]
            there = {_place(entry): entry for entry in before}
            found[name] = [entry for entry in before if _place(entry) not in places]
            found[name] += [merge(there.get(_place(entry), {}), entry) for entry in entries]
        else:
            found[name] = [merge(before[0] if before else {}, entries[0])]
    return found


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(old)
    if "lower_device" in new:
        found.pop("lower_device_netns", None)
    for name, value in new.items():
        before = found.get(name) or {}
        if name == "peer":  # under another name or in another namespace it is the same end still
            value = _merged({word: one for word, one in before.items() if word != "netns"}, value)
        elif name == "sysctls":
            value = _merged(before, value)
        found[name] = value
    return found


def _place(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("name", entry.get("port")), entry.get("netns") or ""


def _merged_route(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Where a route leads is one thing."""
    elsewhere = new.get("type") in REJECTS or any(name in new for name in NEXT_HOP)
    return {**{name: value for name, value in old.items() if not (elsewhere and name in _DIRECTION)}, **new}


_DIRECTION = (*NEXT_HOP, "type", "scope", "onlink")
_OVERLAYS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "routes": _merged_route,
    "rules": lambda _old, new: dict(new),  # a rule is all its parts together
}


def contradicts(earlier: Fragment, new: Fragment) -> bool:
    """Whether what was saved says something else than what is written now."""
    return overlaid(earlier, new) != earlier


def to_text(fragment: Fragment) -> str:
    """The content of the file."""
    return json.dumps({"format": FORMAT, "topology": fragment}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def from_text(text: str, path: str) -> Fragment:
    """What a file says; InvalidValue names it when it is damaged, or from a later release."""
    try:
        data = json.loads(text)
        number, topology = data["format"], data["topology"]
        good = isinstance(topology, dict) and bool(topology) and len(topology.keys() - {"bridge_port"}) < 2
        good = good and all(_is_entry(name, entries) for name, entries in topology.items())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidValue(f"{path}: it is damaged ({error}). Delete it, or run the task again that declared it") from error
    if not isinstance(number, int) or number > FORMAT:
        raise InvalidValue(f"{path}: its format is {number}, this release reads up to {FORMAT}. Update the collection")
    if not good:
        raise InvalidValue(f"{path}: it is damaged. Delete it, or run the task again that declared it")
    return dict(topology)


def _is_entry(name: str, entries: Any) -> bool:
    return (
        name in _LISTS
        and isinstance(entries, list)
        and len(entries) in ((1, 2) if name == "bridge_port" else (1,))
        and all(isinstance(entry, dict) and _is_well_named(entry, _NAMED.get(name, "name")) for entry in entries)
    )


def _is_well_named(entry: Mapping[str, Any], word: str) -> bool:
    """Whether what names this object and others is a name, so that it can be looked up before its values are read."""
    named = [entry.get(word), *(entry[name] for name in _REFERENCES if entry.get(name) is not None)]
    peer = entry.get("peer")
    return (
        all(isinstance(name, str) or (word == "priority" and isinstance(name, int)) for name in named)
        and (word not in ("name", "port") or "/" not in str(entry[word]))
        and (peer is None or (isinstance(peer, dict) and _is_well_named(peer, "name")))
    )


_REFERENCES = ("netns", "lower_device", "lower_device_netns", "controller", "link")


def awaited(fragments: Sequence[Fragment]) -> set[str]:
    """The links, in the namespace of the host itself, that declarations wait for: lower devices, and what others make."""
    named = [(name, entry) for fragment in fragments for name, entries in fragment.items() for entry in entries]
    made = {
        end.get("name")
        for name, entry in named
        if name in KINDS
        for end in (entry, entry.get("peer") or {})
        if not end.get("netns")
    }
    others = {
        entry.get(word)
        for name, entry in named
        if not entry.get("netns")
        for word in ("controller", "link", *(("name",) if name == LINK.name else ()))
    }
    lower = {entry.get("lower_device") for _name, entry in named if not entry.get("lower_device_netns")}
    return {name for name in lower | (others - made) if name} - {"lo"}
