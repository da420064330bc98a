# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be written and deleted for the next boot, and in which order. Pure.

Before the kernel is asked for anything: what keeps other programs off a new link, and the declaration of an old one, so that a
crash in between leaves no link that comes back for ever. After it: the declarations of what is there now.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Optional

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _declarations as declarations
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import Fragment
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import (
    PROGRAMS,
    NotExpressible,
    credit,
    is_manager_file,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _lease as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredLink, DesiredNetns
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._next_boot import ChangeFiles, SelfTest
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation

_READERS = {
    f"{files.UNITS}/": "systemd",
    f"{files.NETWORKD}/": "networkd",  # its own settings it reads when it starts
    f"{files.NETWORKMANAGER}/": "networkmanager",
    f"{networkmanager.FOLDER}/": networkmanager.PROFILES,
    f"{files.UDEV}/": "udev",
}
REPLAY = "replay"
_PORT = {row.name for row in PORT}
_RENDERERS = {"networkd": networkd.rendered, "networkmanager": networkmanager.rendered}
_STARTED = (files.ENGINE, f"{files.UNITS}/{files.SERVICE}", files.SCRIPT)  # the program, and what names its interpreter


@dataclass(frozen=True)
class Engine:
    """The program of the next boot, as this release has it. version: of the collection, such as (1, 0, 0)."""

    content: bytes
    version: tuple[int, ...]


Change = tuple[str, Optional[File], Optional[File]]


@dataclass(frozen=True)
class BootPlan:
    """What to do before the kernel is asked, and after it; changes: (path, before, after) of all files, for the diff.

    releases_links: a manager removes what it made from the kernel when it reloads its files. reapply: of that, what stays.
    """

    first: tuple[Operation, ...] = ()
    last: tuple[Operation, ...] = ()
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    releases_links: bool = False
    reapply: tuple[Desired, ...] = ()


def plan_boot(items: Sequence[Desired], after: State, boot: BootState, engine: Engine) -> BootPlan:
    """From the wishes of a task (merged), the state that they lead to, and the files that are there.

    InvalidValue for what cannot be kept.
    """
    notes: list[str] = []
    earlier: dict[str, Fragment] = {}
    backends: dict[str, str] = {}
    unread: dict[str, File] = {}
    for path, file in boot.files.items():
        backend = declarations.backend_of(path)
        if backend:
            try:
                place = declarations.placed(path, REPLAY)  # as long as it does not matter which backend it is for
                earlier[place] = declarations.from_text(file.content.decode(errors="replace"), path)
                backends[place] = backend
            except InvalidValue as error:
                notes.append(str(error))
                unread[path] = file
    moved: set[str] = set()  # what they say stands elsewhere
    before = dict(backends)
    kept = _kept(items, after, earlier, backends, notes, moved)
    wanted = {}
    for place, fragment in kept.items():
        path, old = (declarations.placed(place, some.get(place, REPLAY)) for some in (backends, before))
        if earlier.get(place) == fragment:
            wanted[path] = replace(boot.files[old], mode=0o600)  # as it is written, by whomever
        else:
            wanted[path] = File(declarations.to_text(fragment).encode(), 0o600)
    named = {declarations.path_of(item.key) for item in items if item.persist or not item.present}
    unread = {
        path: file for path, file in unread.items() if declarations.placed(path, REPLAY) not in named and path not in wanted
    }
    wanted.update(unread)
    replayed = [fragment for place, fragment in kept.items() if backends[place] == REPLAY]
    around: dict[str, File] = {}
    content = boot.files[files.ENGINE].content if boot.release > engine.version else engine.content
    if replayed or unread:
        around = {**files.general(boot, content), **_around(boot, replayed)}
    if _served(items, boot) or _serve_at_boot(replayed):
        around.update(files.of_clients(boot, content))
    manager_files = _manager_files(items, kept, backends, boot, notes)
    for backend in declarations.MANAGERS:
        around.update(_beside(boot, [fragment for place, fragment in kept.items() if backends[place] == backend], backend))
    around.update(_hands_off_managers(boot, kept, backends))
    if unread:  # what it needs around it nobody knows: so all stays that is there
        around = {**{path: file for path, file in boot.files.items() if not declarations.backend_of(path)}, **around}
    all_of_it = {**around, **manager_files, **wanted}
    changes: list[Change] = [
        (path, boot.files.get(path), all_of_it.get(path))
        for path in dict.fromkeys([*all_of_it, *boot.files])
        if boot.files.get(path) != all_of_it.get(path) and path != networkd.WAITS
    ]
    if replayed and not boot.init and changes:
        notes.append(
            f"There is no service manager that starts things at boot here: have the host run this, as root, when it starts: "
            f"{files.command(boot.interpreter)}"
        )
    waits = _waits(boot, changes, notes)
    moved |= {place for place in kept if place in before and before[place] != backends[place]}
    first, last = _in_order(changes, boot, moved, manager_files, waits)
    releases_links = any(_is_withdrawn(change, manager_files) for change in changes) and not waits
    left = {
        place: earlier[place]
        for place in before
        if before[place] in declarations.MANAGERS and backends.get(place) != before[place]
    }
    reapply = () if waits else _reapply(items, left, after)
    return BootPlan(first, last, (*changes, *waits), tuple(notes), releases_links, reapply)


def _manager_files(
    items: Sequence[Desired], kept: Mapping[str, Fragment], backends: Mapping[str, str], boot: BootState, notes: list[str]
) -> dict[str, File]:
    """The files of managers. What this task does not name, and cannot be said any more, stays as it is written."""
    asked = {declarations.path_of(item.key): item for item in items if item.persist in declarations.MANAGERS and item.present}
    for item in asked.values():
        program = PROGRAMS[str(item.persist)]
        if item.persist not in boot.versions:
            raise InvalidValue(
                f"{item.key}: persist: {item.persist}: {program} does not run on this host. Start it (systemctl enable --now "
                f"{program}), or write persist: replay, which needs none"
            )
    found: dict[str, File] = {}
    for backend, rendered in _RENDERERS.items():
        declared = {place: fragment for place, fragment in kept.items() if backends[place] == backend}
        if declared and backend not in boot.versions:  # it is stopped: its files stay
            found.update({path: file for path, file in boot.files.items() if file.content.startswith(credit(backend).encode())})
        else:
            found.update(_rendered(rendered, declared, asked, boot, notes))
    return found


def _rendered(
    rendered: Callable[[BootState, Mapping[str, Fragment]], dict[str, File]],
    declared: dict[str, Fragment],
    asked: Mapping[str, Desired],
    boot: BootState,
    notes: list[str],
) -> dict[str, File]:
    found: dict[str, File] = {}
    while declared:
        try:
            return {**found, **rendered(boot, declared)}
        except NotExpressible as error:
            if error.place in asked:
                raise
            notes.append(str(error))
            fragment = declared.pop(error.place)
            for name in _names(fragment):
                for path, file in boot.files.items():
                    if is_manager_file(file) and os.path.basename(path).rpartition(".")[0].partition("patchbay-")[2] == name:
                        found[path] = file
    return found


def _names(fragment: Fragment) -> list[str]:
    """The links that a declaration is about."""
    entries = [entry for some in fragment.values() for entry in some]
    return [str(name) for entry in entries for name in (entry.get("name"), entry.get("port"), *_peer_name(entry)) if name]


def _peer_name(entry: Mapping[str, Any]) -> list[str]:
    return [entry["peer"]["name"]] if entry.get("peer") else []


def _is_withdrawn(change: Change, manager_files: Mapping[str, File]) -> bool:
    """Whether a manager no longer has this file of its own."""
    path, before, _after = change
    return is_manager_file(before) and path not in manager_files


def _hands_off_managers(boot: BootState, kept: Mapping[str, Fragment], backends: Mapping[str, str]) -> dict[str, File]:
    """What keeps each manager off the links that another one makes."""
    found: dict[str, File] = {}
    for backend in declarations.MANAGERS:
        links = _made(fragment for place, fragment in kept.items() if backends[place] == backend)
        found.update(files.hands_off(replace(boot, managers=boot.managers - {backend}), links))
    return found


def _waits(boot: BootState, changes: Sequence[Change], notes: list[str]) -> tuple[Change, ...]:
    """Whether networkd must not read its files before the next boot, as the change of the file that says so."""
    version = boot.versions.get("networkd", networkd.SINCE_NO_GAP)
    drop_ins = [path for path, _before, _after in changes if networkd.is_drop_in(path)]
    lowers = [name for path in drop_ins for name in networkd.lower_of_drop_in(boot, path) if boot.governed[name][1]]
    begins = version < networkd.SINCE_NO_GAP and bool(lowers)
    if not begins and networkd.WAITS not in boot.files:
        return ()
    if any(path.startswith(f"{files.NETWORKD}/") for path, _before, _after in changes):
        names = f"those of {', '.join(dict.fromkeys(lowers))}" if lowers else "those of a lower device"
        notes.append(
            f"systemd-networkd {version or ''} takes addresses off for a moment when it reads a file about a link anew, "
            f"here {names}: "
            "so it is not told, and what is written for it takes effect at the next boot. The kernel has all of it already"
        )
    new = File(b"Written by patchbay.netdev: systemd-networkd reads some files at the next boot, and not before.\n", 0o644)
    return ((networkd.WAITS, None, new),) if networkd.WAITS not in boot.files else ()


def _reapply(items: Sequence[Desired], left: Mapping[str, Fragment], after: State) -> tuple[Desired, ...]:
    """What a manager made, forgets, and takes out of the kernel on the way, though nobody wants it gone."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for fragment in left.values():
        for name, entries in fragment.items():
            lists.setdefault(name, []).extend(entries)
    named = {item.key: item for item in items}
    before = desired_topology(lists) if lists else ()
    links = [item for item in (*before, *items) if isinstance(item, DesiredLink)]
    controllers = {item.key: item.attributes["controller"] for item in links if "controller" in item.attributes}
    gone = {item.key for item in items if not item.present}
    detached = {key for key, name in controllers.items() if not name or LinkKey(key.netns, name) in gone}
    return tuple(
        _redeclared(item, named.get(item.key, item), item.key in detached)
        for item in before
        if item.key not in gone and _exists(item, after)
    )


def _exists(item: Desired, state: State) -> bool:
    if isinstance(item, DesiredNetns):
        return False  # no manager makes one
    return bool(state.get(item.key) if isinstance(item, DesiredLink) else state.at(item.key))


def _redeclared(before: Desired, now: Desired, detached: bool) -> Desired:
    """What was declared earlier, as far as the task says nothing else. detached: it is no port any more."""
    if not (isinstance(now, DesiredLink) and isinstance(before, DesiredLink)):
        return now
    attributes = {**before.attributes, **now.attributes}
    if "sysctls" in now.attributes:
        attributes["sysctls"] = {**before.attributes.get("sysctls", {}), **now.attributes["sysctls"]}
    if detached:
        attributes = {name: value for name, value in attributes.items() if name != "controller" and name not in _PORT}
    return replace(before, attributes=attributes, asserted={})


def _served(items: Sequence[Desired], boot: BootState) -> bool:
    """Whether there is a DHCP client after this task."""
    links = {leases.path_of(item.key.netns, item.key.name): item for item in items if isinstance(item, DesiredLink)}
    gone = [f"{item.key.name}@" for item in items if isinstance(item, DesiredNetns) and not item.present]
    stay = {path for path in boot.clients if path not in links and not any(f"/{place}" in path for place in gone)}
    for path, item in links.items():
        asked = item.dhcp4.enabled if item.dhcp4 is not None else path in boot.clients
        if item.present and asked:
            stay.add(path)
    return bool(stay)


def _serve_at_boot(fragments: Sequence[Fragment]) -> bool:
    """Whether a DHCP client is declared, be it that it runs by now or not."""
    ends = _ends_of(fragments, *KINDS, LINK.name)
    return any(end["dhcp4"].get("enabled", True) for end in ends if end.get("dhcp4") is not None)


def _kept(
    items: Sequence[Desired],
    after: State,
    earlier: Mapping[str, Fragment],
    backends: dict[str, str],
    notes: list[str],
    moved: set[str],
) -> dict[str, Fragment]:
    """The declarations as they are to be.

    backends, moved: learn by which manager each comes back, and which were put together with another one.
    """
    kept = dict(earlier)
    by_key: dict[Any, Desired] = {item.key: item for item in items}
    for item in items:
        leader = by_key.get(item.attributes.get("peer"))
        if not _is_primary_end(item) and leader is not None and _is_primary_end(leader):
            continue  # it stands in the declaration of the other end
        other = by_key.get(item.attributes.get("peer"))
        if other is not None:  # both ends are one object
            item = replace(item, persist=item.persist or other.persist)
        path = declarations.path_of(item.key)
        pairs = _pairs_of(item, kept)
        if not item.present or item.persist == "none":
            gone = _in_namespace(item.key, kept) if isinstance(item.key, NetnsKey) and not item.present else []
            gone += _leaving_by(item.key, kept, by_key) if isinstance(item.key, LinkKey) and not item.present else []
            for one in [path, *(declarations.path_of(end) for pair in pairs for end in _ends(kept[pair])), *pairs, *gone]:
                kept.pop(one, None)
            continue
        home = path if path in pairs or not pairs else pairs[0]  # a pair stays where it was declared, whichever end a task names
        before = kept.get(home, {})
        if pairs and isinstance(item, DesiredLink):
            before = declarations.as_seen_from(before, item.key, item.attributes.get("peer"))
            if item.persist:
                before = declarations.renamed(before, item.key, item.attributes.get("peer"))
        found: Fragment | None = None
        if isinstance(item, DesiredLink) and item.attributes.get("controller") == "" and (item.kind is None or item.persist):
            before = found = declarations.detached(before, item.key)
            if item.kind is None:
                item = replace(item, attributes={name: value for name, value in item.attributes.items() if name != "controller"})
        new = declarations.written(item, by_key, before)
        if item.persist is None:
            if before and declarations.contradicts(before, new):
                notes.append(
                    f"{item.key}: its declaration for the next boot ({declarations.placed(home, backends[home])}) says something "
                    f"else than this task. Write persist: {backends[home]} to save it as it is now, or persist: none to delete "
                    "the declaration"
                )
        elif found is None or item.attributes:
            _check_place(item)
            found = _completed(item, declarations.overlaid(before, new), after)
        if found:
            there = {one for one in (*pairs, *map(declarations.path_of, _ends(found))) if one in kept}
            for one in pairs:
                kept.pop(one)
            backend = item.persist or backends[home]
            backends[_save(found, item.key, home, kept)] = backend
            moved |= there - kept.keys()
        elif found is not None:
            kept.pop(home, None)
    for item in items:
        if item.persist == "replay" and item.present:
            notes += [
                f"{item.key}: the namespace {name} is not declared for the next boot, so it waits there until somebody makes "
                f"that. Write netns: [{{name: {name}, persist: replay}}]"
                for name in _places(item)
                if name and declarations.path_of(NetnsKey(name)) not in kept
            ]
    for place in [*backends]:
        if place not in kept:
            del backends[place]
    return kept


def _is_primary_end(item: Desired) -> bool:
    return isinstance(item, DesiredLink) and bool(item.is_primary_end)


def _completed(item: Desired, fragment: Fragment, after: State) -> Fragment:
    """With what is not written, and has to be known at boot."""
    if isinstance(item.key, RouteKey):
        some = after.at(item.key)
        return declarations.directed(fragment, some[0] if len(some) == 1 else None)
    link = after.get(item.key) if isinstance(item.key, LinkKey) else None
    end = after.get(link.get("peer")) if link is not None else None
    return declarations.completed(fragment, link, end)


def backend_of(key: LinkKey, boot: BootState) -> str | None:
    """What brings a link back at the next boot, as a value of the option `persist`; None where that cannot be read."""
    if not boot.known:
        return None
    for path, file in boot.files.items():
        backend = declarations.backend_of(path)
        if backend and declarations.placed(path, REPLAY) == declarations.path_of(key):
            return backend
        if backend:
            with contextlib.suppress(InvalidValue):  # a damaged one, of which the next task tells
                if key in _ends(declarations.from_text(file.content.decode(errors="replace"), path)):
                    return backend
    return "none"


def _in_namespace(key: NetnsKey, kept: Mapping[str, Fragment]) -> list[str]:
    """The declarations of what goes with a namespace."""
    return [
        path
        for path, fragment in kept.items()
        for entries in fragment.values()
        for entry in entries
        if key.name in (entry.get("netns"), (entry.get("peer") or {}).get("netns"))
    ]


def _leaving_by(key: LinkKey, kept: Mapping[str, Fragment], by_key: Mapping[Any, Desired]) -> list[str]:
    """The declarations of the routes that the kernel deletes along with a link, but for those that the task wants."""
    wanted = {declarations.path_of(one) for one, item in by_key.items() if isinstance(one, RouteKey) and item.present}
    return [
        path
        for path, fragment in kept.items()
        for entry in fragment.get("routes", ())
        if (entry.get("link"), entry.get("netns") or "") == (key.name, key.netns) and path not in wanted
    ]


def _pairs_of(item: Desired, kept: Mapping[str, Fragment]) -> list[str]:
    """The declarations of pairs of which this is an end, or its peer is, which has another name then."""
    keys = {item.key, item.attributes.get("peer")} if isinstance(item.key, LinkKey) else set()
    return [path for path, fragment in kept.items() if keys & set(_ends(fragment))]


def _ends(fragment: Fragment) -> list[LinkKey]:
    """Of a pair, both."""
    pairs = [(entry, entry["peer"]) for entry in fragment.get("veth", ()) if entry.get("peer")]
    return [LinkKey(end.get("netns") or "", end["name"]) for pair in pairs for end in pair]


def _save(found: Fragment, key: Any, home: str, kept: dict[str, Fragment]) -> str:
    """Put a declaration in its place; that of a pair takes in what was said of either end when there was no pair yet."""
    path = declarations.path_of(key)
    for end in _ends(found):
        place = declarations.path_of(end)
        words = kept.get(place, {})
        if words and place != home and not words.keys() - {LINK.name, "bridge_port"}:
            kept.pop(place)
            turn = end != key
            found = declarations.overlaid(words, declarations.turned(found) if turn else found)
            found = declarations.turned(found) if turn else found
    if home != path and home in [declarations.path_of(end) for end in _ends(found)]:
        kept[home] = declarations.turned(found)
        return home
    kept[path] = found
    return path


def _check_place(item: Desired) -> None:
    for place in _places(item):
        if place.startswith("/"):
            raise InvalidValue(
                f"{item.key}: persist: the namespace {place} has no name, and its path may be another one after the next boot. "
                "Give it a name in /run/netns"
            )


def _places(item: Desired) -> list[str]:
    """The namespaces that it is in, its lower device, and its other end."""
    keys = [item.key, item.attributes.get("lower_device"), item.attributes.get("peer")]
    return list(dict.fromkeys(key.netns for key in keys if key and not isinstance(key, NetnsKey)))


def _around(boot: BootState, fragments: Sequence[Fragment]) -> dict[str, File]:
    """What lower devices, managers and udev need to know of these declarations."""
    found: dict[str, File] = {}
    for name in sorted(declarations.awaited(fragments)):
        found.update(files.of_lower_device(boot, name))
    found.update(files.hands_off(boot, _made(fragments)))
    if any(not entry.get("netns") for fragment in fragments for name in ("routes", "rules") for entry in fragment.get(name, ())):
        found.update(files.keep_routing(boot))
    for entry in _ends_of(fragments, "macvtap"):
        found.update(files.node(boot, entry["name"], entry))
    return found


def _beside(boot: BootState, fragments: Sequence[Fragment], backend: str) -> dict[str, File]:
    """What udev gives the links of a manager, which has no words for it, and what it is not to give them."""
    found: dict[str, File] = {}
    for entry in _ends_of(fragments, *KINDS, LINK.name):
        found.update(files.settings(entry["name"], entry.get("sysctls") or {}))
        if backend == "networkmanager" and entry.get("address"):
            found.update(files.own_address(entry["name"]))
        found.update(files.node(boot, entry["name"], entry))
    return found


def _ends_of(fragments: Iterable[Fragment], *kinds: str) -> list[dict[str, Any]]:
    """The links of these kinds that are declared; of a pair, both ends."""
    entries = [entry for fragment in fragments for kind in kinds for entry in fragment.get(kind, ())]
    return [end for entry in entries for end in (entry, entry.get("peer")) if end]


def _made(fragments: Iterable[Fragment]) -> list[str]:
    """The links that declarations make, in the namespace of the host itself."""
    return [end["name"] for end in _ends_of(fragments, *KINDS) if not end.get("netns")]


def _in_order(
    changes: Sequence[Change], boot: BootState, moved: set[str], manager_files: Mapping[str, File], waits: tuple[Change, ...]
) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    told = partial(_told, boot=boot, manager_files=manager_files, deaf=bool(waits) or networkd.WAITS in boot.files)
    saved = [change for change in changes if declarations.backend_of(change[0])]
    withdrawn = [change for change in changes if _is_withdrawn(change, manager_files)]
    others = [change for change in changes if change not in saved and change not in withdrawn and change[0] not in manager_files]
    come, go = [one for one in others if one[2] is not None], [one for one in others if one[2] is None]
    first: list[Operation] = []
    last: list[Operation] = []
    if waits:
        first.append(ChangeFiles("wait for the next boot", waits))
    for program, some in _by_program(withdrawn):
        first.append(ChangeFiles(f"have {program} let go", some, told(some)))
    if come:
        first.append(ChangeFiles("prepare the next boot", tuple(come), told(come)))
        if any(path in _STARTED for path, _before, _after in come):
            first.append(SelfTest(boot.interpreter))
    old = [change for change in saved if change[2] is None and declarations.placed(change[0], REPLAY) not in moved]
    if old:
        first.append(ChangeFiles("forget at the next boot", tuple(old)))
    new = [change for change in saved if change not in old]
    if new:
        last.append(ChangeFiles("bring back at the next boot", tuple(new)))
    own = [change for change in changes if change[0] in manager_files and not networkd.is_drop_in(change[0])]
    drop_ins = [change for change in changes if change[0] in manager_files and networkd.is_drop_in(change[0])]
    for changed in (own, drop_ins):  # networkd has to know a link that is there before it is to make it, or it fails at that
        for program, some in _by_program(changed):
            last.append(ChangeFiles(f"have {program} bring it back", some, told(some)))
    if go:
        last.append(ChangeFiles("tidy up for the next boot", tuple(go), told(go)))
    return tuple(first), tuple(last)


def _by_program(changes: Sequence[Change]) -> list[tuple[str, tuple[Change, ...]]]:
    """Changes by the manager whose files they are."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        backend = "networkd" if change[0].startswith(f"{files.NETWORKD}/") else "networkmanager"
        found.setdefault(PROGRAMS[backend], []).append(change)
    return [(program, tuple(some)) for program, some in found.items()]


def _readers(path: str) -> list[str]:
    if path.endswith(files.LINK_FILE):
        return ["udev"]
    return [program for folder, program in _READERS.items() if path.startswith(folder)]


def _told(changes: Sequence[Change], boot: BootState, manager_files: Mapping[str, File], deaf: bool) -> tuple[str, ...]:
    found = {
        program
        for path, _before, _after in changes
        for program in _readers(path)
        if not (path in manager_files and program == "networkmanager")  # it would take what is there
    }
    if any(path == files.SCRIPT for path, _before, _after in changes):
        found.add(boot.init)
    return tuple(sorted(found - ({"networkd"} if deaf else set())))
