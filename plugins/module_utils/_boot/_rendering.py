# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of the next boot, as they follow from the declarations. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import (
    MANAGERS,
    REPLAY,
    Declarations,
    backend_of,
    has_source_routing,
    path_of,
    peer_of,
    to_text,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import (
    PROGRAMS,
    NotExpressible,
    header,
    is_manager_file,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._merging import Merged
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _lease as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey

_RENDER = {"networkd": networkd.render, "networkmanager": networkmanager.render}


@dataclass(frozen=True)
class Engine:
    """The boot program, as this release has it; version: of the collection, such as (1, 0, 0)."""

    content: bytes
    version: tuple[int, ...]


@dataclass(frozen=True)
class Rendered:
    """All files of the next boot, by path; by_managers: those by which a network manager creates or configures links."""

    files: Mapping[str, File]
    by_managers: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def render(before: Declarations, merged: Merged, desired: Sequence[Desired], boot: BootState, engine: Engine) -> Rendered:
    """The files for the declarations after a task; InvalidValue for what the chosen boot backend cannot restore."""
    declared = [*merged.items.values()]
    files = _declaration_files(before, declared, boot)
    unreadable = _unreadable_files(before, merged, files)
    replayed = [item for item in declared if item.persist == REPLAY]
    program = boot.files[systemd_files.ENGINE].content if boot.release > engine.version else engine.content
    other_files: dict[str, File] = {}
    if replayed or unreadable:
        other_files.update(systemd_files.boot_program_files(boot, program))
        other_files.update(_replay_files(replayed, boot))
    if _needs_dhcp_clients(desired, replayed, boot):
        other_files.update(systemd_files.dhcp_client_files(boot, program))
    of_managers, warnings = _manager_files(merged, boot)
    for backend in MANAGERS:
        other_files.update(_files_beside_manager(backend, [item for item in declared if item.persist == backend], boot))
    if unreadable:  # nobody knows what an unreadable declaration needs, so everything stays
        other_files = {**{path: file for path, file in boot.files.items() if not backend_of(path)}, **other_files}
    return Rendered({**other_files, **of_managers, **files, **unreadable}, frozenset(of_managers), tuple(warnings))


# --- declarations ---


def _declaration_files(before: Declarations, declared: Iterable[Desired], boot: BootState) -> dict[str, File]:
    """A declaration that says the same as before keeps the text of its file, whoever wrote it."""
    files = {}
    for item in declared:
        path = path_of(item.key, item.persist or REPLAY)
        earlier = before.items.get(item.key)
        is_same = earlier is not None and earlier.origin == path and (earlier is item or to_text(earlier) == to_text(item))
        files[path] = File(boot.files[path].content if is_same else to_text(item).encode(), 0o600)
    return files


def _unreadable_files(before: Declarations, merged: Merged, files: Mapping[str, File]) -> dict[str, File]:
    """Those of objects that the task does not decide on: a user may want to repair them."""
    names = {os.path.basename(path_of(key)) for key in merged.names}
    return {path: file for path, file in before.unreadable.items() if path not in files and os.path.basename(path) not in names}


# --- replay ---


def _replay_files(replayed: Sequence[Desired], boot: BootState) -> dict[str, File]:
    """What lower devices, managers and udev need to know of the objects that the boot program restores."""
    files: dict[str, File] = {}
    for name in sorted(awaited_links(replayed)):
        files.update(systemd_files.hotplug_files(boot, name))
    files.update(systemd_files.unmanaged_files(boot, _created_links(replayed)))
    if any(_routes_here(item) for item in replayed):
        files.update(systemd_files.foreign_routing_files(boot))
    for item in replayed:
        if isinstance(item, DesiredLink):
            files.update(systemd_files.device_node_files(boot, item.key.name, _options_of_node(item)))
    return files


def _routes_here(item: Desired) -> bool:
    """Whether it brings routes or rules in the namespace of the host."""
    if isinstance(item, DesiredNetns):
        return False
    return item.key.netns == HERE and (not isinstance(item, DesiredLink) or has_source_routing(item))


def awaited_links(items: Iterable[Desired]) -> set[str]:
    """The links in the namespace of the host that declarations wait for: lower devices, and links that others create."""
    lower: set[LinkKey] = set()
    others: set[LinkKey] = set()
    created: set[LinkKey] = set()
    for item in items:
        if isinstance(item, DesiredLink):
            lower |= {item.lower_device} if item.lower_device is not None else set()
            others.add(LinkKey(item.key.netns, item.controller or ""))
            (created if item.kind else others).add(item.key)
        elif isinstance(item, DesiredRoute):
            others |= {item.link} if item.link is not None else set()
    return {key.name for key in lower | (others - created) if key.netns == HERE} - {"", "lo"}


def _created_links(items: Iterable[Desired]) -> list[str]:
    """The links that are created in the namespace of the host."""
    return [item.key.name for item in items if isinstance(item, DesiredLink) and item.kind and item.key.netns == HERE]


def _needs_dhcp_clients(desired: Iterable[Desired], replayed: Iterable[Desired], boot: BootState) -> bool:
    """Whether a DHCP client runs after the task, or is started at the next boot."""
    if any(isinstance(item, DesiredLink) and item.dhcp4 is not None and item.dhcp4.enabled for item in replayed):
        return True
    running = set(boot.clients)
    for item in desired:
        if isinstance(item, DesiredLink):
            path = leases.record_path(item.key.netns, item.key.name)
            is_served = item.dhcp4.enabled if item.dhcp4 is not None else path in running
            running = running | {path} if item.present and is_served else running - {path}
        elif isinstance(item, DesiredNetns) and not item.present:
            running = {path for path in running if f"/{item.key.name}@" not in path}
    return bool(running)


# --- network managers ---


def _manager_files(merged: Merged, boot: BootState) -> tuple[dict[str, File], list[str]]:
    """The files of the managers, and a warning for each declaration that they can no longer express: its files stay."""
    files: dict[str, File] = {}
    warnings: list[str] = []
    for backend in MANAGERS:
        declared = [item for item in merged.items.values() if item.persist == backend]
        if declared and backend not in boot.versions:
            _check_runs(backend, declared, merged)
            files.update({path: file for path, file in boot.files.items() if file.content.startswith(header(backend).encode())})
            continue
        while declared:
            try:
                files.update(_RENDER[backend](boot, declared))
                break
            except NotExpressible as error:
                refused = [item for item in declared if _is_about(item, error.key)]
                if not refused or any(item.key in merged.names for item in refused):
                    raise
                warnings.append(str(error))
                declared = [item for item in declared if item not in refused]
                files.update(_present_files({error.key, *(item.key for item in refused)}, boot))
    return files, warnings


def _check_runs(backend: str, declared: Iterable[Desired], merged: Merged) -> None:
    """A manager that does not run reads no files; those of before stay until it runs again."""
    program = PROGRAMS[backend]
    for item in declared:
        if item.key in merged.names:
            raise InvalidValue(
                f"{item.key}: persist: {backend}: {program} does not run on this host. Start it (systemctl enable --now "
                f"{program}), or set persist: replay, which needs no network manager"
            )


def _is_about(item: Desired, key: DesiredKey) -> bool:
    """Whether a manager cannot express a declaration because it cannot express the object with this key."""
    is_route_of_link = isinstance(item, DesiredRoute) and item.link == key
    return item.key == key or peer_of(item) == key or is_route_of_link


def _present_files(keys: Iterable[DesiredKey], boot: BootState) -> dict[str, File]:
    """The files that managers have of these links."""
    names = {key.name for key in keys if isinstance(key, LinkKey)}

    def link_of(path: str) -> str:
        return os.path.basename(path).rpartition(".")[0].partition("patchbay-")[2]

    return {path: file for path, file in boot.files.items() if is_manager_file(file) and link_of(path) in names}


def _files_beside_manager(backend: str, items: Sequence[Desired], boot: BootState) -> dict[str, File]:
    """What udev sets on the links of a manager, or must not set, and what keeps the other managers from configuring them."""
    files: dict[str, File] = {}
    for item in items:
        if isinstance(item, DesiredLink):
            files.update(systemd_files.sysctl_files(item.key.name, item.sysctls))
            if backend == "networkmanager" and item.address:
                files.update(systemd_files.mac_address_files(item.key.name))
            files.update(systemd_files.device_node_files(boot, item.key.name, _options_of_node(item)))
    others = replace(boot, managers=boot.managers - {backend})
    files.update(systemd_files.unmanaged_files(others, _created_links(items)))
    return files


def _options_of_node(item: DesiredLink) -> dict[str, object]:
    """The options about the device node of a macvtap, as a task sets them."""
    rows = kind_of(item.kind or "").rows(item.attributes)
    return {row.name: row.type.saved(item.attributes[row.name]) for row in rows if row.store is Store.NODE}
