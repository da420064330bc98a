# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the engine: parameters in, result out. The only file that knows AnsibleModule and check mode."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from xml.sax.saxutils import quoteattr

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module
from ansible.module_utils.common.sys_info import get_distribution

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    ALL_NAMESPACES,
    namespace,
    wanted_topology,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._converge import Result, converge
from ansible_collections.patchbay.netdev.plugins.module_utils._errors import (
    ApplyFailed,
    InvalidValue,
    MissingLibrary,
    NetdevError,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._kernel import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import Store, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model import Link, LinkKey, Netns, NetnsKey, Scope, Wanted

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
        return {"netns" if isinstance(item.key, NetnsKey) else "link": _returned(result, item)}

    _run(module, lambda: read(module.params), shown)


def run_topology(module: AnsibleModule) -> None:
    """Many links, planned together."""

    def shown(result: Result) -> dict[str, Any]:
        return {"links": [_returned(result, item) for item in result.items if isinstance(item.key, LinkKey)]}

    _run(module, lambda: wanted_topology(module.params), shown)


def run_info(module: AnsibleModule) -> None:
    """What is there, without changing anything."""
    try:
        with _gateway(module) as gateway:
            written = module.params["netns"]
            names = gateway.all_namespaces() if written == ALL_NAMESPACES else [gateway.canonical(_namespace_option(written))]
            state = gateway.observe(Scope(namespaces=frozenset(names)))
            children: dict[LinkKey, list[dict[str, Any]]] = {}
            for link in state:
                for upper in state.above(link.key):
                    children.setdefault(link.key, []).append({"name": upper.key.name, "netns": upper.key.netns or None})
            found = [
                {**_described(link), "children": children.get(link.key, [])}
                for link in sorted(state, key=lambda link: (names.index(link.key.netns), link.index or 0))
                if module.params["name"] in (None, link.key.name, *(link.get("altnames") or ()))
                and module.params["kind"] in (None, link.kind)
            ]
    except NetdevError as error:
        _fail(module, error)
    module.exit_json(changed=False, links=found)


def _namespace_option(written: str | None) -> str:
    try:
        return namespace(written)
    except InvalidValue as error:
        raise InvalidValue(f"netns: {error}") from error


def _run(module: AnsibleModule, items: Callable[[], Sequence[Wanted]], shown: Callable[[Result], dict[str, Any]]) -> None:
    try:
        asked = items()
        with _gateway(module) as gateway:
            result = converge(gateway, asked, not module.check_mode, module.params["allow_lockout"])
    except NetdevError as error:
        _fail(module, error)
    for note in result.plan.warnings:
        module.warn(note)
    sentences = [str(operation) for operation in result.plan.operations]
    module.exit_json(changed=bool(sentences), operations=sentences, diff=_diff(result), **shown(result))


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
    """The link or namespace of an item as it is (or will be); None when it is absent."""
    if isinstance(item.key, NetnsKey):
        return {"name": item.key.name, "path": f"/run/netns/{item.key.name}"} if item.key in result.after.namespaces else None
    link = result.after.get(item.key)
    return _described(link, item) if link else None


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
    touched = [key for operation in result.plan.operations for key in operation.predict(before)]
    found = []
    for key in dict.fromkeys([*items, *touched]):
        if key not in items and isinstance(key, LinkKey) and key.name == "lo":  # comes and goes with its namespace
            continue
        if isinstance(key, NetnsKey):
            sides = [{"state": _space_state(state.namespaces.get(key))} for state in (before, after)]
            headers = {"before_header": str(key), "after_header": str(key)}
            found.append({**headers, "before": sides[0], "after": sides[1]})
            continue
        written = set(items[key].attributes) if key in items else set()
        old, new = before.get(key), after.get(key)
        names = written | _differing(old, result.plan.after.get(key))  # as predicted: the same in check mode
        found.append(
            {
                "before_header": str(key),
                "after_header": str(key),
                "before": _side(old, names),
                "after": _side(new, names),
            }
        )
    return found


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


def _side(link: Link | None, names: set[str]) -> dict[str, Any]:
    if link is None:
        return {"state": "absent"}
    found: dict[str, Any] = {"state": "present"}
    for row in kind_of(link.kind).rows(dict.fromkeys(names)):
        value = link.get(row.name)
        found[row.name] = str(value) if isinstance(value, LinkKey) else None if value is None else row.type.returned(value)
    return found
