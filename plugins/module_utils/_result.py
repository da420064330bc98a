# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task returns, built from what the engine returns: objects in the words of the options, and the diff. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import backends
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import ENGINE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredLink, DesiredNetns
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey, Netns, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RuleKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Key, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import CreateRule, DeleteRule
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import is_kernel_made, origin
from ansible_collections.patchbay.netdev.plugins.module_utils._values import _dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import identity, long_form, owner

if TYPE_CHECKING:
    from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import Result
    from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._listeners import Listener

_UNPLANNED: dict[str, Any] = {"changed": True, "operations": [], "diff": []}
_OBJECT_TYPES = {LinkKey: "link", NetnsKey: "netns", RouteKey: "route", RuleKey: "rule"}


def result_of_module(result: Result) -> dict[str, Any]:
    """The result of a module that manages one object: the object stands under the name of its type."""
    item = result.items[0]
    return {**_changes(result), _OBJECT_TYPES[type(item.key)]: _returned(result, item)}


def result_of_topology(result: Result) -> dict[str, Any]:
    """The result of a task that manages many objects: a list of objects per type, in the order of the task."""
    objects: dict[str, list[dict[str, Any] | None]] = {"links": [], "routes": [], "rules": []}
    for item in result.items:
        if not isinstance(item, DesiredNetns):
            objects[f"{_OBJECT_TYPES[type(item.key)]}s"].append(_returned(result, item))
    return {**_changes(result), **objects}


def module_without_plan(items: Sequence[Desired]) -> dict[str, Any]:
    """The result of a module that check mode cannot plan, because what it needs does not exist yet: it would change something."""
    return {**_UNPLANNED, _OBJECT_TYPES[type(items[0].key)]: None}


def topology_without_plan(_items: Sequence[Desired]) -> dict[str, Any]:
    """The same of a task that manages many objects."""
    return {**_UNPLANNED, "links": [], "routes": [], "rules": []}


def result_of_info(
    state: State, boot: BootState, namespaces: Sequence[str], name: str | None, kind: str | None
) -> dict[str, list[dict[str, Any]]]:
    """The links, routes and rules of these namespaces, in their order; links by index, and only with this name and kind."""
    declared = backends(boot)
    links = [
        {
            **_described(link),
            "addresses": [_observed_address(address) for address in link.addresses],
            "children": [{"name": upper.key.name, "netns": upper.key.netns or None} for upper in state.links_on(link.key)],
            "dhcp4": _observed_client(state.clients.get(ClientKey(link.key)), boot),
            "persist": None if declared is None else declared.get(link.key, "none"),
        }
        for link in sorted(state, key=lambda link: (namespaces.index(link.key.netns), link.index or 0))
        if name in (None, link.key.name, *link.altnames) and kind in (None, link.kind)
    ]
    route_keys = sorted(state.routes, key=lambda key: (namespaces.index(key.netns), key))
    rule_keys = sorted(state.rules, key=lambda key: (namespaces.index(key.netns), key))
    return {
        "links": links,
        "routes": [{**_described_routing(route), "owner": origin(route)} for key in route_keys for route in state.routes[key]],
        "rules": [{**_described_routing(rule), "owner": origin(rule)} for key in rule_keys for rule in state.rules[key]],
    }


def described_listener(listener: Listener) -> dict[str, Any]:
    """A listening socket, with the first of the processes that have it open."""
    process_id, process = next(iter(listener.processes), (None, None))
    return {
        "netns": listener.netns or None,
        "protocol": listener.protocol,
        "families": [f"ipv{family}" for family in listener.families],
        "address": listener.address or None,
        "port": listener.port,
        "link": listener.link or None,
        "process": process,
        "process_id": process_id,
    }


# --- the objects ---


def _returned(result: Result, item: Desired) -> dict[str, Any] | None:
    """The object of an item as it is (or will be); None when it is absent."""
    state, key = result.after, item.key
    if isinstance(key, NetnsKey):
        return {"name": key.name, "path": f"/run/netns/{key.name}"} if key in state.namespaces else None
    if isinstance(key, (RouteKey, RuleKey)):
        sharing_key = state.at(key)
        return _described_routing(sharing_key[0]) if sharing_key else None
    link = state.get(key)
    if link is None:
        return None
    returned = _described(link, item)
    if isinstance(item, DesiredLink) and item.dhcp4 is not None:
        returned["dhcp4"] = _dhcp4.returned(state.clients.get(ClientKey(key)))
    if result.plan.operations and state is result.plan.after:  # a prediction: the kernel settles the operational state later
        returned["oper_state"] = None
    return returned


def _observed_address(address: Address) -> dict[str, Any]:
    return {**long_form(address), "owner": owner(address), "valid_seconds": address.valid, "settled": address.settled}


def _observed_client(client: Client | None, boot: BootState) -> dict[str, Any] | None:
    """The DHCP client of a link, and whether it runs; None for a caller that may not read that."""
    return {**_dhcp4.returned(client), "running": client is not None and client.is_serving} if boot.known else None


def _described_routing(routing: Route | Rule) -> dict[str, Any]:
    """A route or a rule in the words of the options; an attribute that it does not have is null."""
    key = routing.key
    described: dict[str, Any] = {"netns": key.netns or None, "family": f"ipv{key.family}"}
    if isinstance(key, RouteKey):
        described.update(destination=key.destination, table=key.table, metric=key.metric)
    else:
        described.update(priority=key.priority)
    for row in kind_of(_OBJECT_TYPES[type(key)]).attributes:
        value = routing.get(row.name)
        described[row.name] = None if value is None else row.type.returned(value)
    return described


def _described(link: Link, item: Desired | None = None) -> dict[str, Any]:
    """A link in the words of the options; what is not known (in check mode: what the kernel will choose) is null."""
    lower = link.lower_device
    described: dict[str, Any] = {
        "name": link.key.name,
        "netns": link.key.netns or None,
        "kind": link.kind,
        "lower_device": lower.name if lower else None,
        "lower_device_netns": lower.netns or None if lower else None,
    }
    for row in kind_of(link.kind).attributes:
        value = link.get(row.name)
        if row.store is Store.PEER:
            described["peer"] = {"name": link.peer.name, "netns": link.peer.netns or None} if link.peer else None
        elif row.store is Store.SYSCTL:
            if isinstance(item, DesiredLink) and "sysctls" in item.attributes:
                described[row.name] = {name: link.sysctls.get(name) for name in item.sysctls}
        elif row.store is Store.ADDRESS:
            if item is not None and "addresses" in item.attributes:
                described[row.name] = row.type.returned(_declared(link.addresses, item))
        elif row.store is not Store.LOWER_DEVICE and not (row.store is Store.PORT and value is None):  # None: not a bridge port
            described[row.name] = None if value is None else row.type.returned(value)
    if kind_of(link.kind).has_node:
        described.update(device=link.get("device"), device_number=link.get("device_number"), libvirt_xml=_libvirt_interface(link))
    described.update(index=link.index, oper_state=link.oper_state)
    return described


def _libvirt_interface(link: Link) -> str | None:
    """The interface element that lets a libvirt domain use this link without creating or deleting it."""
    if not link.address:
        return None
    address, name = (quoteattr(text) for text in (link.address, link.key.name))
    return f"<interface type='ethernet'><mac address={address}/><target dev={name} managed='no'/></interface>"


def _declared(addresses: tuple[Address, ...], item: Desired | None) -> tuple[Address, ...]:
    """The addresses of a link. Those that the task names are static, even if a DHCP client of the link might have added them."""
    named = {identity(address) for address in (item.addresses if isinstance(item, DesiredLink) else ())}
    return tuple(replace(address, client=None) if identity(address) in named else address for address in addresses)


# --- what changed ---


def _changes(result: Result) -> dict[str, Any]:
    operations = [str(operation) for operation in result.operations]
    return {"changed": bool(operations), "operations": operations, "diff": [*_diff(result), *_file_diff(result)]}


def _diff(result: Result) -> list[dict[str, Any]]:
    """One entry per object: its managed attributes, and those that change along with them, before and after."""
    before, after = result.plan.before, result.after
    items = {item.key: item for item in result.items}
    touched = [key for operation in result.plan.operations for key in _keys_touched(operation, before)]
    entries = []
    for key in dict.fromkeys([*items, *(key for key in touched if not _is_listed(key, items))]):
        if key not in items and isinstance(key, LinkKey) and key.name == "lo":  # appears and disappears with its namespace
            continue
        sides: list[Any] = []
        if isinstance(key, NetnsKey):
            sides = [{"state": _netns_state(state.namespaces.get(key))} for state in (before, after)]
        elif isinstance(key, (RouteKey, RuleKey)):
            sides = [_routing_side(state, key) for state in (before, after)]
            if key not in items and sides[0] == sides[1]:  # a rule that was created again, to keep its place
                continue
        elif isinstance(key, ClientKey):
            sides = [_dhcp4.compared(state.clients.get(key)) for state in (before, after)]
        else:
            managed = set(items[key].attributes) if key in items else set()
            # Compared with the prediction, so that check mode and the real run show the same attributes.
            names = managed | _differing(before.get(key), result.plan.after.get(key))
            sides = [_link_side(state.get(key), names, items.get(key)) for state in (before, after)]
        entries.append({"before_header": str(key), "after_header": str(key), "before": sides[0], "after": sides[1]})
    return entries


def _keys_touched(operation: Operation, state: State) -> list[Any]:
    """The objects that an operation changes, without the routes that the kernel adds and deletes by itself."""
    return [
        touched
        for key, new in predicted_changes(operation, state).items()
        if not isinstance(key, RouteKey) or not all(is_kernel_made(route) for route in (*(new or ()), *state.routes.get(key, ())))
        for touched in ([operation.rule.key] if isinstance(operation, (CreateRule, DeleteRule)) else [key])
    ]


def _is_listed(key: Key, items: Collection[Key]) -> bool:
    """Whether an item names this object; a rule that is to be absent may be named by its priority alone."""
    if not isinstance(key, RuleKey):
        return key in items
    return any(isinstance(item, RuleKey) and item.covers(key) for item in items)


def _netns_state(netns: Netns | None) -> str:
    if netns is None:
        return "absent"
    return "left behind" if netns.obstacle else "present"


def _routing_side(state: State, key: RouteKey | RuleKey) -> Any:
    """A route or rule as it stands in a diff; a list when several share the key."""
    sides = [
        {
            "state": "present",
            **{
                row.name: row.type.compared(routing.get(row.name))
                for row in kind_of(_OBJECT_TYPES[type(key)]).rows(routing.attributes)
            },
        }
        for routing in state.at(key)
    ]
    return sides if len(sides) > 1 else sides[0] if sides else {"state": "absent"}


def _differing(old: Link | None, new: Link | None) -> set[str]:
    """The attributes that change; of a link that is created or deleted, those without the value that the kernel gives."""
    link = new or old
    rows = [row for row in kind_of(link.kind).attributes if row.store is not Store.SYSCTL] if link else []
    if old is not None and new is not None:
        return {row.name for row in rows if new.get(row.name) is not None and old.get(row.name) != new.get(row.name)}
    return {row.name for row in rows if link and link.get(row.name) not in (None, row.initial)}


def _link_side(link: Link | None, names: set[str], item: Desired | None) -> dict[str, Any]:
    if link is None:
        return {"state": "absent"}
    side: dict[str, Any] = {"state": "present"}
    for row in kind_of(link.kind).rows(dict.fromkeys(names)):
        value = link.get(row.name)
        if row.store is Store.ADDRESS and value:
            value = _declared(link.addresses, item)
        side[row.name] = str(value) if isinstance(value, LinkKey) else None if value is None else row.type.compared(value)
    return side


def _file_diff(result: Result) -> list[dict[str, Any]]:
    """One entry per file of the next boot."""
    return [
        {"before_header": path, "after_header": path, "before": _file_side(path, before), "after": _file_side(path, after)}
        for path, before, after in result.boot.changes
    ]


def _file_side(path: str, file: File | None) -> str:
    """A file as it stands in a diff; of the program of the next boot, only its size."""
    if file is None:
        return ""
    if file.link is not None:
        return f"a symbolic link to {file.link}\n"
    return f"a program of {len(file.content)} bytes\n" if path == ENGINE else file.content.decode(errors="replace")
