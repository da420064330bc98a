# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, `Wanted` out: the argument specifications that derive from the table, and what is read from them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import KINDS, Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._model import HERE, LinkKey, Wanted
from ansible_collections.patchbay.netdev.plugins.module_utils._values import LinkName

ArgumentSpec = dict[str, dict[str, Any]]

ALL_NAMESPACES = "all"
INFO_ARGUMENTS: ArgumentSpec = {"name": {"type": "str"}, "kind": {"type": "str"}, "netns": {"type": "str"}}


def argument_spec(kind: Kind) -> ArgumentSpec:
    """The argument specification of the module for one link of this kind."""
    spec: ArgumentSpec = {
        "name": {"type": "str", "required": True},
        "netns": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "recreate": {"type": "str", "choices": ["never", "when_required"], "default": "never"},
    }
    if "lower_device" in kind.needs:
        spec["lower_device_netns"] = {"type": "str"}
        spec["lower_device_state"] = {"type": "str", "choices": ["up", "require"]}
    for row in kind.attributes:
        spec[row.name] = row.type.argument()
        if row.aliases:
            spec[row.name]["aliases"] = list(row.aliases)
    return spec


def topology_argument_spec() -> ArgumentSpec:
    """The argument specification of `topology`: one list per kind, each entry with the options of that kind's module."""
    return {name: {"type": "list", "elements": "dict", "options": argument_spec(kind)} for name, kind in KINDS.items()}


def wanted(kind: Kind, params: Mapping[str, Any], origin: str = "") -> tuple[Wanted, ...]:
    """What the options of one link say; options that were not written are left out, for they are not managed."""
    where = f"{origin}: " if origin else ""

    def parsed(option: str, parse: Any, value: Any) -> Any:
        try:
            return parse(value)
        except InvalidValue as error:
            raise InvalidValue(f"{where}{option}: {error}") from error

    key = LinkKey(parsed("netns", namespace, params.get("netns")), parsed("name", LinkName().parse, params["name"]))
    attributes: dict[str, Any] = {}
    for row in kind.attributes:
        value = params.get(row.name)
        if value is None:
            continue
        if row.name == "lower_device":
            name = parsed("lower_device", LinkName().parse, value)
            value = LinkKey(parsed("lower_device_netns", namespace, params.get("lower_device_netns")), name)
        attributes[row.name] = parsed(row.name, row.type.parse, value)
    if params.get("lower_device_netns") and "lower_device" not in attributes:
        raise InvalidValue(f"{where}lower_device_netns says where to look for lower_device: write both")
    if params["state"] == "absent":  # what else was written describes the link that is to go
        attributes = {}
    return (
        Wanted(
            key,
            kind.name,
            params["state"] == "present",
            attributes,
            recreate=params.get("recreate") == "when_required",
            lower_device_state=params.get("lower_device_state"),
            origin=origin,
        ),
    )


def wanted_topology(params: Mapping[str, Any]) -> tuple[Wanted, ...]:
    """What all the lists of a `topology` say together."""
    return tuple(
        item
        for name, kind in KINDS.items()
        for position, entry in enumerate(params.get(name) or ())
        for item in wanted(kind, entry, f"{name}[{position}] ({entry['name']})")
    )


def namespace(value: str | None) -> str:
    """A network namespace as it is named everywhere below: a name in /run/netns, an absolute path, or HERE."""
    if value is None:
        return HERE
    for folder in ("/run/netns/", "/var/run/netns/"):
        if value.startswith(folder) and "/" not in value[len(folder) :]:
            value = value[len(folder) :]
    if value.startswith("/"):
        return value
    if not value or value in (".", "..") or "/" in value or "\0" in value:
        raise InvalidValue(f"{value!r} is neither the name of a network namespace nor an absolute path to one")
    return value
