# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations: the desired state as it is saved for the next boot, one JSON file per object. Pure.

    {"format": 2, "macvlan": {"name": "mv0", "lower_device": "eth0", "mtu": 1400}}

A file names the type of its object (`netns`, `route`, `rule`, the kind of a link, or `link` for one that others create) and lists
its options as a task sets them. Each end of a veth pair has a file of its own, and what a link has as a bridge port is listed
among the options of the link. The folder of a file is the boot backend that restores the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import parsed_source_routing, saved_source_routing
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    LinkPolicy,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._file_names import escaped, netns_prefix
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    LOOKUP,
    RouteKey,
    RuleKey,
    RulePriority,
    selectors_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values import _dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import TABLE, LinkName, Reference

OWN_FOLDER = "/etc/patchbay"
REPLAY = "replay"
MANAGERS = ("networkd", "networkmanager")  # the boot backends that are network managers
FORMAT = 2

_FAMILIES = {"ipv4": 4, "ipv6": 6}
_LINK_NAME = LinkName()
_CREATION_ORDER = ("netns", *KINDS, LINK.name, ROUTE.name, RULE.name)


# --- the files ---


def folder_of(backend: str) -> str:
    """The folder of the declarations for a boot backend."""
    return f"{OWN_FOLDER}/{backend}.d"


FOLDER = folder_of(REPLAY)


def backend_of(path: str) -> str:
    """The boot backend that a declaration is for; "" for a file that is not a declaration."""
    return path[len(OWN_FOLDER) + 1 :].partition(".d/")[0] if path.startswith(f"{OWN_FOLDER}/") else ""


def path_of(key: DesiredKey, backend: str = REPLAY) -> str:
    """The file of an object's declaration."""
    return f"{folder_of(backend)}/{_stem(key)}.json"


def _stem(key: DesiredKey) -> str:
    if isinstance(key, NetnsKey):
        return f"netns-{escaped(key.name)}"
    netns = netns_prefix(key.netns)
    if isinstance(key, LinkKey):
        return f"link-{netns}{escaped(key.name)}"
    if isinstance(key, RuleKey):
        selectors = {name: kind_of(RULE.name)[name].type.describe(value) for name, value in key.selectors or ()}
        words = [key.action] if key.action not in (None, LOOKUP) else []
        words += [f"{name}={escaped(text).replace('/', '_').replace(',', '%2c')}" for name, text in selectors.items()]
        return f"rule-{netns}ipv{key.family}-{key.priority}{'-' if words else ''}{','.join(words)}"
    destination = key.destination.replace("/", "_")
    return f"route-{netns}{destination}-table-{key.table}-metric-{key.metric}"


@dataclass(frozen=True)
class Declarations:
    """The declarations of a host; unreadable: files that cannot be read, by path; errors: why, a sentence for each of them."""

    items: Mapping[DesiredKey, Desired] = field(default_factory=dict)
    unreadable: Mapping[str, File] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def load(boot: BootState) -> Declarations:
    """All declarations of a host; `persist` of each is its boot backend, `origin` its file."""
    items: dict[DesiredKey, Desired] = {}
    unreadable: dict[str, File] = {}
    errors: list[str] = []
    for path, file in boot.files.items():
        if not backend_of(path):
            continue
        try:
            item = from_text(file.content.decode(errors="replace"), path)
            items[item.key] = item
        except InvalidValue as error:
            unreadable[path] = file
            errors.append(str(error))
    return Declarations(items, unreadable, tuple(errors))


def backends(boot: BootState) -> dict[LinkKey, str] | None:
    """The boot backend that restores each declared link; None if only root can tell."""
    if not boot.known:
        return None
    return {key: item.persist or REPLAY for key, item in load(boot).items.items() if isinstance(key, LinkKey)}


# --- pairs ---


def with_both_ends(items: Iterable[Desired]) -> tuple[Desired, ...]:
    """The objects, and of each veth pair both ends, as they can be planned: the end whose key comes first is the primary one.

    An end without a declaration of its own has nothing but its peer.
    """
    by_key: dict[DesiredKey, Desired] = {item.key: item for item in items}
    for item in [*by_key.values()]:
        peer = peer_of(item)
        if isinstance(item, DesiredLink) and peer is not None:
            by_key[item.key] = replace(item, is_primary_end=item.key < peer)
            by_key.setdefault(peer, replace(bare_end(item, peer), is_primary_end=peer < item.key))
    return tuple(by_key.values())


def peer_of(item: Desired | None) -> LinkKey | None:
    """The other end of a veth pair; None for any other object, and where it is not known."""
    return item.peer if isinstance(item, DesiredLink) else None


def bare_end(item: DesiredLink, peer: LinkKey) -> DesiredLink:
    """The other end of a pair, of which nothing else is declared."""
    return DesiredLink(peer, item.kind, True, {"peer": item.key}, persist=item.persist, origin=item.origin)


def has_source_routing(item: DesiredLink) -> bool:
    """Whether the link has a routing table of its own; an empty option takes it away."""
    return item.source_routing is not None and item.source_routing.table is not None


def creation_order(item: Desired) -> int:
    """Where an object comes in the order in which objects can be created: what others refer to comes first."""
    return _CREATION_ORDER.index(item.kind or LINK.name)


# --- writing ---


def to_text(item: Desired) -> str:
    """The content of the file that declares an object."""
    content = {"format": FORMAT, item.kind or LINK.name: _options(item)}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _options(item: Desired) -> dict[str, Any]:
    if isinstance(item, DesiredNetns):
        return {"name": item.key.name}
    netns = {"netns": item.key.netns} if item.key.netns else {}
    rows = kind_of(item.kind or LINK.name).rows(item.attributes)
    values = {row.name: row.type.saved(item.attributes[row.name]) for row in rows if not isinstance(row.type, Reference)}
    if isinstance(item, DesiredLink):
        return {"name": item.key.name, **netns, **values, **_references(item), **_link_options(item)}
    if isinstance(item, DesiredRule):
        return {"priority": item.key.priority, "family": f"ipv{item.key.family}", **netns, **values}
    key = item.key
    own = {"destination": key.destination, "family": f"ipv{key.family}", "table": TABLE.saved(key.table), "metric": key.metric}
    return {**own, **netns, **values}


def _references(item: DesiredLink) -> dict[str, Any]:
    references: dict[str, Any] = {}
    if item.lower_device is not None:
        references["lower_device"] = item.lower_device.name
        if item.lower_device.netns:
            references["lower_device_netns"] = item.lower_device.netns
    if item.peer is not None:
        references["peer"] = {"name": item.peer.name, **({"netns": item.peer.netns} if item.peer.netns else {})}
    return references


def _link_options(item: DesiredLink) -> dict[str, Any]:
    """The options that are not attributes and have an effect at boot."""
    options: dict[str, Any] = {}
    if item.policy.lower_device_state:
        options["lower_device_state"] = item.policy.lower_device_state
    if item.policy.allow_wireless:
        options["allow_wireless"] = True
    if item.policy.altnames_exact:
        options["altnames_exact"] = True
    if item.source_routing is not None and has_source_routing(item):
        options["source_routing"] = saved_source_routing(item.source_routing)
    if item.dhcp4 is not None:
        options["dhcp4"] = _dhcp4.saved(item.dhcp4)
    return options


# --- reading ---


def from_text(text: str, path: str) -> Desired:
    """The object that a file declares; InvalidValue names a file that is damaged, or of another format."""
    try:
        content = json.loads(text)
        number = content.pop("format")
        if number == FORMAT:
            return replace(_object(content), persist=backend_of(path) or REPLAY, origin=path)
    except Exception as error:  # there are as many kinds of damage as there are exceptions
        raise InvalidValue(
            f"{path}: the declaration is damaged ({error}). Delete the file, or run the task that declares the object again"
        ) from error
    if isinstance(number, int) and number < FORMAT:
        raise InvalidValue(
            f"{path}: format {number} is no longer supported (current: {FORMAT}). Delete the file, or run the task that declares "
            "the object again"
        )
    raise InvalidValue(f"{path}: format {number} is newer than this release supports ({FORMAT}). Update the collection")


def _object(content: Mapping[str, dict[str, Any]]) -> Desired:
    if len(content) != 1:
        raise InvalidValue("a declaration must contain exactly one object")
    ((name, options),) = content.items()
    readers: dict[str, Callable[[dict[str, Any]], Desired]] = {"netns": _netns, ROUTE.name: _route, RULE.name: _rule}
    if name not in readers and name not in (*KINDS, LINK.name):
        raise InvalidValue(f"{name} is not a known type of object")
    left = dict(options)
    item = readers[name](left) if name in readers else _link(kind_of(name), left)
    if left:
        raise InvalidValue(f"{', '.join(sorted(left))}: not an option of {name}")
    return item


def _netns(options: dict[str, Any]) -> DesiredNetns:
    if not options["name"]:
        raise InvalidValue("the namespace has no name")
    return DesiredNetns(NetnsKey(_netns_name(options.pop("name"))), True)


def _link(kind: Kind, options: dict[str, Any]) -> DesiredLink:
    key = LinkKey(_netns_name(options.pop("netns", HERE)), _link_name(options.pop("name")))
    attributes: dict[str, Any] = {}
    if "peer" in options:
        peer = options.pop("peer")
        attributes["peer"] = LinkKey(_netns_name(peer.get("netns", HERE)), _link_name(peer["name"]))
    if "lower_device" in options:
        netns = _netns_name(options.pop("lower_device_netns", HERE))
        attributes["lower_device"] = LinkKey(netns, _link_name(options.pop("lower_device")))
    policy = LinkPolicy(
        lower_device_state=options.pop("lower_device_state", None),
        allow_wireless=bool(options.pop("allow_wireless", False)),
        altnames_exact=bool(options.pop("altnames_exact", False)),
    )
    source_routing = parsed_source_routing(options.pop("source_routing")) if "source_routing" in options else None
    dhcp4 = _dhcp4.parsed(options.pop("dhcp4"))[0] if "dhcp4" in options else None
    if dhcp4 is not None and dhcp4.enabled:
        dhcp4 = replace(dhcp4, source_routing=source_routing)
    attributes.update(_attributes(kind, options))
    kind_name = None if kind is LINK else kind.name
    return DesiredLink(key, kind_name, True, attributes, source_routing=source_routing, dhcp4=dhcp4, policy=policy)


def _route(options: dict[str, Any]) -> DesiredRoute:
    key = RouteKey(
        _netns_name(options.pop("netns", HERE)),
        TABLE.parse(options.pop("table")),
        _FAMILIES[options.pop("family")],
        str(options.pop("destination")),
        int(options.pop("metric")),
    )
    return DesiredRoute(key, True, _attributes(ROUTE, options))


def _rule(options: dict[str, Any]) -> DesiredRule:
    at = RulePriority(_netns_name(options.pop("netns", HERE)), _FAMILIES[options.pop("family")], int(options.pop("priority")))
    attributes = _attributes(RULE, options)
    return DesiredRule(RuleKey(at, selectors_of(attributes), attributes.get("action", LOOKUP)), True, attributes)


def _attributes(kind: Kind, options: dict[str, Any]) -> dict[str, Any]:
    attributes = {}
    for row in kind.attributes:
        if row.name in options and not isinstance(row.type, Reference):
            attributes[row.name] = _value(row, options.pop(row.name))
    return attributes


def _value(row: Attribute, value: object) -> object:
    """The normal form of a value; `parse` leaves it to the argument specification of a module to check words and truth values."""
    is_wrong_word = isinstance(row.type, Choice) and value not in row.type.codes
    if is_wrong_word or isinstance(row.type, Boolean) != isinstance(value, bool):
        raise InvalidValue(f"{value!r} is not a valid value of {row.name}")
    return _link_name(value, row.type) if isinstance(row.type, LinkName) else row.type.parse(value)


def _link_name(value: object, type_: LinkName = _LINK_NAME) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{value!r} is not the name of a link")
    return type_.parse(value)


def _netns_name(value: object) -> str:
    """The name of a namespace; HERE if it is omitted. A path could lead elsewhere after a boot."""
    if not isinstance(value, str) or "/" in value or value in (".", ".."):
        raise InvalidValue(f"{value!r} is not the name of a network namespace")
    return value
