# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for the next boot: which files are written and deleted, and in which order. Pure.

Load the declarations, merge the task into them, render all files, compare them with those of the host, order the changes. Before
the kernel is changed: what keeps other programs off a new link, and the deletion of old declarations, so that no crash in between
leaves a link that is restored for ever. After it: the declarations of what exists now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import (
    MANAGERS,
    REPLAY,
    Declarations,
    backend_of,
    load,
    path_of,
    with_both_ends,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import PROGRAMS, is_manager_file
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._merging import Merged, merge_task, overlaid, without_port
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import Engine, Rendered, render
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _lease as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    writes_host_files,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._next_boot import ChangeFiles, SelfTest
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation

_READERS = {
    f"{systemd_files.UNITS}/": "systemd",
    f"{systemd_files.NETWORKD}/": "networkd",  # networkd.conf it reads only when it starts
    f"{systemd_files.NETWORKMANAGER}/": "networkmanager",
    f"{networkmanager.FOLDER}/": networkmanager.PROFILES,
    f"{systemd_files.UDEV}/": "udev",
}
# The boot program, and the files that name its interpreter.
_TESTED = (systemd_files.ENGINE, f"{systemd_files.UNITS}/{systemd_files.SERVICE}", systemd_files.SCRIPT)

Change = tuple[str, Optional[File], Optional[File]]  # path, before, after


@dataclass(frozen=True)
class BootPlan:
    """What to do for the next boot: before the kernel is changed (prepare), and after it (settle).

    changes: all changes of files, for the diff. releases_links: a manager deletes what it created from the kernel when it reloads
    its files. reapply: of that, what is to stay.
    """

    prepare: tuple[Operation, ...] = ()
    settle: tuple[Operation, ...] = ()
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    releases_links: bool = False
    reapply: tuple[Desired, ...] = ()


def plan_boot(
    desired: Sequence[Desired], after: State, boot: BootState, engine: Engine, served: Collection[LinkKey] = ()
) -> BootPlan:
    """The plan for the (merged) items of a task; after: the state that they lead to; boot: the files that exist.

    A task leaves all files as they are if it persists and serves nothing, and names no object that is declared or served.
    served: the links that had a DHCP client before the task. InvalidValue for what cannot be declared, or not with the chosen
    boot backend.
    """
    before = load(boot)
    merged = merge_task(before.items, desired, after)
    has_files = any(
        item.key in before.items or item.persist or writes_host_files(item) or _is_served(item, boot, served) for item in desired
    )
    if not has_files and merged.items == before.items:
        return BootPlan(warnings=(*before.errors, *merged.warnings))
    rendered = render(before, merged, desired, boot, engine)
    changes = compare(boot.files, rendered.files)
    postponed, reload_warnings = _postponed_reload(boot, changes)
    prepare, settle = order(changes, postponed, rendered, _moved(before, merged), boot)
    return BootPlan(
        prepare,
        settle,
        (*changes, *postponed),
        (*before.errors, *merged.warnings, *rendered.warnings, *_init_warning(merged, boot, changes), *reload_warnings),
        not postponed and any(_is_withdrawn(change, rendered) for change in changes),
        () if postponed else _to_reapply(before, merged, desired, after),
    )


def _is_served(item: Desired, boot: BootState, served: Collection[LinkKey]) -> bool:
    """Whether an object has or had a DHCP client, or a namespace a link with one."""
    if isinstance(item, DesiredNetns):
        had = any(link.netns == item.key.name for link in served)
        return had or any(f"/{item.key.name}@" in path for path in boot.clients)
    if not isinstance(item, DesiredLink):
        return False
    return item.key in served or leases.record_path(item.key.netns, item.key.name) in boot.clients


def compare(before: Mapping[str, File], after: Mapping[str, File]) -> list[Change]:
    """The changes of files that lead from one set to the other."""
    return [
        (path, before.get(path), after.get(path))
        for path in dict.fromkeys([*after, *before])
        if before.get(path) != after.get(path) and path != networkd.POSTPONED
    ]


def order(
    changes: Sequence[Change], postponed: Sequence[Change], rendered: Rendered, moved: set[str], boot: BootState
) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    """The operations that prepare the next boot, and those that settle it; moved: declarations that only get another file."""
    is_postponed = bool(postponed) or networkd.POSTPONED in boot.files

    def reloads(group: Iterable[Change]) -> tuple[str, ...]:
        return tuple(sorted(_readers(group, rendered, boot) - ({"networkd"} if is_postponed else set())))

    withdrawn = [change for change in changes if _is_withdrawn(change, rendered)]
    declarations = [change for change in changes if backend_of(change[0])]
    removed = [change for change in declarations if change[2] is None and change[0] not in moved]
    saved = [change for change in declarations if change[2] is not None or change[0] in moved]
    of_managers = [change for change in changes if change[0] in rendered.by_managers]
    paths = {path for path, _before, _after in (*withdrawn, *declarations, *of_managers)}
    others = [change for change in changes if change[0] not in paths]
    prepared = [change for change in others if change[2] is not None]
    unused = [change for change in others if change[2] is None]

    prepare: list[Operation] = []
    if postponed:
        prepare.append(ChangeFiles("postpone the reload of systemd-networkd to the next boot", tuple(postponed)))
    for program, group in _by_program(withdrawn):
        prepare.append(ChangeFiles(f"release links from {program}", group, reloads(group)))
    if prepared:
        prepare.append(ChangeFiles("prepare the next boot", tuple(prepared), reloads(prepared)))
        if any(path in _TESTED for path, _before, _after in prepared):
            prepare.append(SelfTest(boot.interpreter))
    if removed:
        prepare.append(ChangeFiles("remove declarations", tuple(removed)))

    settle: list[Operation] = []
    if saved:
        settle.append(ChangeFiles("save declarations", tuple(saved)))
    # networkd has to know an existing link as one of its own before a lower device's file has it create the link, or it fails.
    for is_drop_in in (False, True):
        for program, group in _by_program(change for change in of_managers if networkd.is_drop_in(change[0]) == is_drop_in):
            settle.append(ChangeFiles(f"configure {program}", group, reloads(group)))
    if unused:
        settle.append(ChangeFiles("remove files that are no longer needed", tuple(unused), reloads(unused)))
    return tuple(prepare), tuple(settle)


def _moved(before: Declarations, merged: Merged) -> set[str]:
    """The files of declarations that are saved in another file now: under another name, or for another boot backend."""
    paths = {path_of(item.key, item.persist or REPLAY) for item in merged.items.values()}
    moved = set()
    for key, item in before.items.items():
        if merged.renamed.get(key, key) in merged.items and item.origin not in paths:
            moved.add(item.origin)
    return moved


# --- reloads ---


def _by_program(changes: Iterable[Change]) -> list[tuple[str, tuple[Change, ...]]]:
    """Changes by the manager whose files they are."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        backend = "networkd" if change[0].startswith(f"{systemd_files.NETWORKD}/") else "networkmanager"
        groups.setdefault(PROGRAMS[backend], []).append(change)
    return [(program, tuple(group)) for program, group in groups.items()]


def _readers(changes: Iterable[Change], rendered: Rendered, boot: BootState) -> set[str]:
    """The programs that have to read these files again."""
    programs = set()
    for path, _before, _after in changes:
        readers = {program for folder, program in _READERS.items() if path.startswith(folder)}
        if path.endswith(systemd_files.LINK_FILE):
            readers = {"udev"}
        if path in rendered.by_managers:
            readers -= {"networkmanager"}  # it would take over the existing link at once
        if path == systemd_files.SCRIPT:
            readers = {boot.init}
        programs |= readers
    return programs


def _is_withdrawn(change: Change, rendered: Rendered) -> bool:
    """Whether a manager loses a file by which it created or configured a link."""
    path, before, _after = change
    return is_manager_file(before) and path not in rendered.by_managers


def _postponed_reload(boot: BootState, changes: Sequence[Change]) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Whether networkd must not reload its files before the next boot: the change of the file that says so, and a warning."""
    version = boot.versions.get("networkd", networkd.RELOADS_WITHOUT_GAP)
    drop_ins = [path for path, _before, _after in changes if networkd.is_drop_in(path)]
    lower_devices = [name for path in drop_ins for name in networkd.links_of_drop_in(boot, path) if boot.governed[name][1]]
    must_postpone = version < networkd.RELOADS_WITHOUT_GAP and bool(lower_devices)
    if not must_postpone and networkd.POSTPONED not in boot.files:
        return (), ()
    warnings: tuple[str, ...] = ()
    if any(path.startswith(f"{systemd_files.NETWORKD}/") for path, _before, _after in changes):
        names = ", ".join(dict.fromkeys(lower_devices)) or "a lower device"
        warnings = (
            f"systemd-networkd {version or ''} briefly removes the addresses of a link when it reloads a file of that link, "
            f"here of {names}. It is therefore not reloaded, and its new files take effect at the next boot. The kernel "
            "already has all changes",
        )
    file = File(b"Written by patchbay.netdev: systemd-networkd must not be reloaded before the next boot.\n", 0o644)
    return ((networkd.POSTPONED, None, file),) if networkd.POSTPONED not in boot.files else (), warnings


def _init_warning(merged: Merged, boot: BootState, changes: Sequence[Change]) -> tuple[str, ...]:
    is_replayed = any(item.persist == REPLAY for item in merged.items.values())
    if boot.init or not changes or not is_replayed:
        return ()
    return (
        "This host has no service manager that starts the boot program. Have the host run this command as root at each boot: "
        f"{systemd_files.boot_command(boot.interpreter)}",
    )


# --- what a manager deletes and is to stay ---


def _to_reapply(before: Declarations, merged: Merged, desired: Sequence[Desired], after: State) -> tuple[Desired, ...]:
    """What a manager created, and deletes from the kernel when it loses the declaration, although it is to stay."""
    lost = []
    for key, item in before.items.items():
        now = merged.items.get(key)
        if item.persist in MANAGERS and (now is None or now.persist != item.persist):
            lost.append(item)
    items_by_key = {item.key: item for item in desired}
    absent = {key for key, item in items_by_key.items() if not item.present}
    return tuple(
        _as_desired(item, items_by_key.get(item.key), absent)
        for item in with_both_ends(lost)
        if item.key not in absent and _exists(item, after) and not _is_another_kind(item, items_by_key.get(item.key))
    )


def _as_desired(item: Desired, now: Desired | None, absent: set[DesiredKey]) -> Desired:
    """An object as it was declared, as far as the task does not set it; without its controller if that is to be absent."""
    merged = item if now is None else overlaid(item, now)
    if not isinstance(merged, DesiredLink) or not isinstance(item, DesiredLink):
        return merged
    name = merged.controller
    is_detached = name == "" or (name is not None and LinkKey(merged.key.netns, name) in absent)
    attributes = without_port(merged) if is_detached else merged.attributes
    return replace(item, attributes=attributes, source_routing=merged.source_routing, persist=None)


def _is_another_kind(item: Desired, now: Desired | None) -> bool:
    return now is not None and None not in (item.kind, now.kind) and item.kind != now.kind


def _exists(item: Desired, state: State) -> bool:
    if isinstance(item, DesiredNetns):
        return False  # no manager creates one
    return bool(state.get(item.key) if isinstance(item, DesiredLink) else state.at(item.key))
