# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the engine: parameters in, result out. The only file that knows AnsibleModule and check mode."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn
from xml.sax.saxutils import quoteattr

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module
from ansible.module_utils.common.sys_info import get_distribution

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    ALL_NAMESPACES,
    namespace,
    wanted_probe,
    wanted_topology,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._files import ENGINE
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import backend_of
from ansible_collections.patchbay.netdev.plugins.module_utils._converge import Result, converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._listening import Listener, listeners
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._probe import ask
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._package import engine
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Wanted
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import (
    ApplyFailed,
    InvalidValue,
    MissingLibrary,
    NetdevError,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey, Netns, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RuleKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routing import is_kernel_made, origin
from ansible_collections.patchbay.netdev.plugins.module_utils._values import _dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import identity, long_form, owner

_WORDS = {LinkKey: "link", NetnsKey: "netns", RouteKey: "route", RuleKey: "rule"}
SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python")
PACKAGES = {
    "Alpine": "py3-pyroute2 (apk add py3-pyroute2)",
    "Archlinux": "python-pyroute2 (pacman -S python-pyroute2)",
    "Debian": "python3-pyroute2 (apt install python3-pyroute2)",
    "Fedora": "python3-pyroute2 (dnf install python3-pyroute2)",
    "Ubuntu": "python3-pyroute2 (apt install python3-pyroute2)",
}
ENTERPRISE_LINUX = ("Almalinux", "Centos", "Oraclelinux", "Redhat", "Rocky")


def run_module(module: AnsibleModule, read: Callable[[Mapping[str, Any]], Sequence[Wanted]]) -> None:
    """One link: a topology of one. `read` makes of the parameters what is wanted."""

    def shown(result: Result) -> dict[str, Any]:
        item = result.items[0]
        return {_WORDS[type(item.key)]: _returned(result, item)}

    _run(module, lambda: read(module.params), shown)


def run_topology(module: AnsibleModule) -> None:
    """Many links, planned together."""

    def shown(result: Result) -> dict[str, Any]:
        found: dict[str, Any] = {"links": [], "routes": [], "rules": []}
        for item in result.items:
            if not isinstance(item.key, NetnsKey):
                found[f"{_WORDS[type(item.key)]}s"].append(_returned(result, item))
        return found

    _run(module, lambda: wanted_topology(module.params), shown)


def run_info(module: AnsibleModule) -> None:
    """What is there, without changing anything."""
    try:
        with _gateway(module) as gateway:
            names = _namespaces_to_read(gateway, module.params["netns"])
            state = gateway.observe(Scope(namespaces=frozenset(names), traffic=frozenset(names)))
            boot = gateway.boot_state(False)
            children: dict[LinkKey, list[dict[str, Any]]] = {}
            for link in state:
                for upper in state.above(link.key):
                    children.setdefault(link.key, []).append({"name": upper.key.name, "netns": upper.key.netns or None})
            found = [
                {
                    **_described(link),
                    "addresses": [_found_address(one) for one in link.get("addresses") or ()],
                    "children": children.get(link.key, []),
                    "dhcp4": _served(state.clients.get(ClientKey(link.key)), boot),
                    "persist": backend_of(link.key, boot),
                }
                for link in sorted(state, key=lambda link: (names.index(link.key.netns), link.index or 0))
                if module.params["name"] in (None, link.key.name, *(link.get("altnames") or ()))
                and module.params["kind"] in (None, link.kind)
            ]
            made: dict[str, list[dict[str, Any]]] = {"routes": [], "rules": []}
            for key in sorted(state.routes, key=lambda key: (names.index(key.netns), key)):
                made["routes"] += [{**_described_routing(one), "owner": origin(one)} for one in state.routes[key]]
            for rule in sorted(state.rules, key=lambda key: (names.index(key.netns), key)):
                made["rules"] += [{**_described_routing(one), "owner": origin(one)} for one in state.rules[rule]]
    except NetdevError as error:
        _fail(module, error)
    module.exit_json(changed=False, links=found, **made)


def run_probe(module: AnsibleModule) -> None:
    """Who answers for some addresses. It is the same in check mode."""
    try:
        probe = wanted_probe(module.params)
        with _gateway(module) as gateway:
            key = replace(probe.link, netns=gateway.canonical(probe.link.netns))
            found = ask(gateway, key, probe.ips, probe.seconds, probe.count)
    except NetdevError as error:
        _fail(module, error)
    module.exit_json(changed=False, answers=[{"address": ip, "macs": macs} for ip, macs in found.items()])


def _served(client: Client | None, boot: BootState) -> dict[str, Any] | None:
    """The DHCP client of a link, and whether it runs; None where that cannot be read."""
    return {**_dhcp4.returned(client), "running": client is not None and client.serves} if boot.known else None


def run_listeners(module: AnsibleModule) -> None:
    """Who waits for somebody."""
    try:
        with _gateway(module) as gateway:
            found = listeners(gateway, _namespaces_to_read(gateway, module.params["netns"]))
    except NetdevError as error:
        _fail(module, error)
    module.exit_json(changed=False, listeners=[_described_listener(one) for one in found])


def _described_listener(one: Listener) -> dict[str, Any]:
    process, name = next(iter(one.processes), (None, None))
    return {
        "netns": one.netns or None,
        "protocol": one.protocol,
        "families": [f"ipv{family}" for family in one.families],
        "address": one.address or None,
        "port": one.port,
        "link": one.link or None,
        "process": name,
        "process_id": process,
    }


def _namespaces_to_read(gateway: KernelGateway, written: str | None) -> list[str]:
    return gateway.all_namespaces() if written == ALL_NAMESPACES else [gateway.canonical(_namespace_option(written))]


def _namespace_option(written: str | None) -> str:
    try:
        return namespace(written)
    except InvalidValue as error:
        raise InvalidValue(f"netns: {error}") from error


def _run(module: AnsibleModule, items: Callable[[], Sequence[Wanted]], shown: Callable[[Result], dict[str, Any]]) -> None:
    try:
        asked = items()
        with _gateway(module) as gateway, _alone(gateway, asked, module.check_mode):
            result = converge(gateway, asked, not module.check_mode, module.params["allow_lockout"], engine)
    except NetdevError as error:
        _fail(module, error)
    for note in (*result.plan.warnings, *result.boot.warnings):
        module.warn(note)
    sentences = [str(operation) for operation in result.operations]
    module.exit_json(changed=bool(sentences), operations=sentences, diff=[*_diff(result), *_file_diff(result)], **shown(result))


def _alone(gateway: KernelGateway, asked: Sequence[Wanted], check_mode: bool) -> contextlib.AbstractContextManager[None]:
    """Where things come back at boot, the program that brings them back must not run at the same moment."""
    kept = gateway.has_declarations() or any(item.persist not in (None, "none") or item.dhcp4 is not None for item in asked)
    return locked() if kept and not check_mode else contextlib.nullcontext()


def _file_diff(result: Result) -> list[dict[str, Any]]:
    """One entry per file of the next boot; of the program, only whether it is there."""
    found = []
    for path, before, after in result.boot.changes:
        sides = []
        for file in (before, after):
            if file is None:
                sides.append("")
            elif file.link is not None:
                sides.append(f"a symbolic link to {file.link}\n")
            else:
                sides.append(
                    f"a program of {len(file.content)} bytes\n" if path == ENGINE else file.content.decode(errors="replace")
                )
        found.append({"before_header": path, "after_header": path, "before": sides[0], "after": sides[1]})
    return found


def _gateway(module: AnsibleModule) -> KernelGateway:
    try:
        return KernelGateway()
    except MissingLibrary as error:
        if not has_respawned():
            other: str | None = probe_interpreters_for_module(SYSTEM_PYTHONS, "pyroute2")
            if other:
                respawn_module(other)  # does not come back
        distribution = get_distribution() or ""
        package = PACKAGES.get(distribution)
        if distribution in ENTERPRISE_LINUX:
            package = "python3-pyroute2 from EPEL (dnf install epel-release, then dnf install python3-pyroute2)"
        advice = f"On this {distribution} host the package is {package}" if package else "With pip it is pyroute2>=0.7.2"
        module.fail_json(
            msg=f"{missing_required_lib('pyroute2', url='https://pypi.org/project/pyroute2/')} {advice}. ({error})",
            exception="".join(traceback.format_exception(type(error), error, error.__traceback__)),
        )
        raise AssertionError from error  # fail_json does not come back


def _fail(module: AnsibleModule, error: NetdevError) -> NoReturn:
    more = {"undone": error.undone, "not_undone": error.left} if isinstance(error, ApplyFailed) else {}
    module.fail_json(msg=str(error), **more)
    raise AssertionError  # fail_json does not come back


def _space_state(space: Netns | None) -> str:
    if space is None:
        return "absent"
    return "left behind" if space.instead else "present"


def _returned(result: Result, item: Wanted) -> dict[str, Any] | None:
    """The object of an item as it is (or will be); None when it is absent."""
    state, key = result.after, item.key
    if isinstance(key, NetnsKey):
        return {"name": key.name, "path": f"/run/netns/{key.name}"} if key in state.namespaces else None
    if isinstance(key, (RouteKey, RuleKey)):
        some = state.at(key)
        return _described_routing(some[0]) if some else None
    link = state.get(key)
    if link is None:
        return None
    found = _described(link, item)
    if item.dhcp4 is not None:
        found["dhcp4"] = _dhcp4.returned(state.clients.get(ClientKey(key)))
    if result.plan.operations and state is result.plan.after:  # only predicted: what the kernel makes of it takes its time
        found["oper_state"] = None
    return found


def _found_address(one: Address) -> dict[str, Any]:
    return {**long_form(one), "owner": owner(one), "valid_seconds": one.valid, "settled": one.settled}


def _described_routing(made: Route | Rule) -> dict[str, Any]:
    """A route or a rule in the words of the options; what it does not have is null."""
    key = made.key
    found: dict[str, Any] = {"netns": key.netns or None, "family": f"ipv{key.family}"}
    if isinstance(key, RouteKey):
        found.update(destination=key.destination, table=key.table, metric=key.metric)
    else:
        found.update(priority=key.priority)
    for row in kind_of(_WORDS[type(key)]).attributes:
        value = made.get(row.name)
        found[row.name] = None if value is None else row.type.returned(value)
    return found


def _described(link: Link, item: Wanted | None = None) -> dict[str, Any]:
    """A link in the words of the options; what is not known (in check mode: what the kernel will choose) is null."""
    kind = kind_of(link.kind)
    found: dict[str, Any] = {"name": link.key.name, "netns": link.key.netns or None, "kind": link.kind}
    lower = link.get("lower_device")
    found["lower_device"] = lower.name if lower else None
    found["lower_device_netns"] = lower.netns or None if lower else None
    for row in kind.attributes:
        value = link.get(row.name)
        if row.store is Store.PEER:
            found["peer"] = {"name": value.name, "netns": value.netns or None} if value else None
        elif row.store is Store.SYSCTL:
            if item is not None and "sysctls" in item.attributes:
                found[row.name] = {key: (value or {}).get(key) for key in item.attributes["sysctls"]}
        elif row.store is Store.ADDRESS:
            if item is not None and "addresses" in item.attributes:
                found[row.name] = row.type.returned(_declared(value or (), item))
        elif row.name != "lower_device" and not (row.store is Store.PORT and value is None):  # as of what is no port
            found[row.name] = None if value is None else row.type.returned(value)
    if link.kind == "macvtap":
        found.update(device=link.get("device"), device_number=link.get("device_number"), libvirt_xml=_libvirt(link))
    found.update(index=link.index, oper_state=link.oper_state)
    return found


def _libvirt(link: Link) -> str | None:
    """The interface element that lets a libvirt domain use a link that is made here, and leave it there."""
    if not link.get("address"):
        return None
    address, name = (quoteattr(text) for text in (link.get("address"), link.key.name))
    return f"<interface type='ethernet'><mac address={address}/><target dev={name} managed='no'/></interface>"


def _diff(result: Result) -> list[dict[str, Any]]:
    """One entry per object: its managed attributes, and those that change along with them, before and after."""
    before, after = result.plan.before, result.after
    items = {item.key: item for item in result.items}
    touched = [key for operation in result.plan.operations for key, _new in _outcome(operation, before)]
    found = []
    for key in dict.fromkeys([*items, *touched]):
        if key not in items and isinstance(key, LinkKey) and key.name == "lo":  # comes and goes with its namespace
            continue
        sides: list[Any] = []
        if isinstance(key, NetnsKey):
            sides = [{"state": _space_state(state.namespaces.get(key))} for state in (before, after)]
        elif isinstance(key, (RouteKey, RuleKey)):
            sides = [_routing_side(state, key) for state in (before, after)]
        elif isinstance(key, ClientKey):
            sides = [_dhcp4.compared(state.clients.get(key)) for state in (before, after)]
        else:
            written = set(items[key].attributes) if key in items else set()
            old, new = before.get(key), after.get(key)
            names = written | _differing(old, result.plan.after.get(key))  # as predicted: the same in check mode
            sides = [_side(old, names, items.get(key)), _side(new, names, items.get(key))]
        found.append({"before_header": str(key), "after_header": str(key), "before": sides[0], "after": sides[1]})
    return found


def _outcome(operation: Operation, state: State) -> list[tuple[Any, Any]]:
    """What an operation changes, but for routes that come and go by themselves."""
    return [
        (key, new)
        for key, new in predicted_changes(operation, state).items()
        if not isinstance(key, RouteKey) or not all(is_kernel_made(route) for route in (*(new or ()), *state.routes.get(key, ())))
    ]


def _routing_side(state: State, key: RouteKey | RuleKey) -> Any:
    """A route or rule as it stands in a diff; a list when several share the key."""
    some = state.at(key)
    sides = [
        {
            "state": "present",
            **{row.name: row.type.compared(one.get(row.name)) for row in kind_of(_WORDS[type(key)]).rows(one.attributes)},
        }
        for one in some
    ]
    return sides if len(sides) > 1 else sides[0] if sides else {"state": "absent"}


def _differing(old: Link | None, new: Link | None) -> set[str]:
    if old is None or new is None:
        one = old or new
        rows = kind_of(one.kind).attributes if one else ()
        return {
            row.name for row in rows if one and one.get(row.name) not in (None, row.initial) and row.store is not Store.SYSCTL
        }
    rows = kind_of(new.kind).attributes
    return {row.name for row in rows if row.store is not Store.SYSCTL and _changes(old.get(row.name), new.get(row.name))}


def _changes(old: Any, new: Any) -> bool:
    return new is not None and old != new


def _declared(addresses: tuple[Address, ...], item: Wanted | None) -> tuple[Address, ...]:
    """The addresses of a link; what the task names is static, also where a client is served that might have made it."""
    named = {identity(one) for one in (item.attributes.get("addresses") if item else None) or ()}
    return tuple(replace(one, client=None) if identity(one) in named else one for one in addresses)


def _side(link: Link | None, names: set[str], item: Wanted | None) -> dict[str, Any]:
    if link is None:
        return {"state": "absent"}
    found: dict[str, Any] = {"state": "present"}
    for row in kind_of(link.kind).rows(dict.fromkeys(names)):
        value = link.get(row.name)
        if row.store is Store.ADDRESS and value:
            value = _declared(value, item)
        found[row.name] = str(value) if isinstance(value, LinkKey) else None if value is None else row.type.compared(value)
    return found
