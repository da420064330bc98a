# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be written and deleted for the next boot, and in which order. Pure.

Before the kernel is asked for anything: what keeps other programs off a new link, and the declaration of an old one, so that a
crash in between leaves no link that comes back for ever. After it: the declarations of what is there now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils import _lease as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _declarations as declarations
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import Fragment
from ansible_collections.patchbay.netdev.plugins.module_utils._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import KINDS, LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    BootState,
    File,
    LinkKey,
    NetnsKey,
    RouteKey,
    State,
    Wanted,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._next_boot import ChangeFiles, Prove
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation

_READERS = {
    f"{files.UNITS}/": "systemd",
    f"{files.NETWORKD}/": "networkd",  # its own settings it reads when it starts
    f"{files.NETWORKMANAGER}/": "networkmanager",
    f"{files.UDEV}/": "udev",
}
_STARTED = (files.ENGINE, f"{files.UNITS}/{files.SERVICE}", files.SCRIPT)  # the program, and what names its interpreter


@dataclass(frozen=True)
class Engine:
    """The program of the next boot, as this release has it. version: of the collection, such as (1, 0, 0)."""

    content: bytes
    version: tuple[int, ...]


@dataclass(frozen=True)
class BootPlan:
    """What to do before the kernel is asked, and after it; changes: (path, before, after) of all files, for the diff."""

    first: tuple[Operation, ...] = ()
    last: tuple[Operation, ...] = ()
    changes: tuple[tuple[str, File | None, File | None], ...] = ()
    warnings: tuple[str, ...] = ()


def plan_boot(items: Sequence[Wanted], after: State, boot: BootState, engine: Engine) -> BootPlan:
    """From the wishes of a task (merged), the state that they lead to, and the files that are there.

    InvalidValue for what cannot be kept.
    """
    notes: list[str] = []
    earlier: dict[str, Fragment] = {}
    for path, file in boot.files.items():
        if path.startswith(declarations.FOLDER):
            try:
                earlier[path] = declarations.from_text(file.content.decode(errors="replace"), path)
            except InvalidValue as error:
                notes.append(str(error))
    moved: set[str] = set()  # what they say stands elsewhere
    kept = _kept(items, after, earlier, notes, moved)
    wanted = {
        path: replace(boot.files[path], mode=0o600)  # as it is written, by whomever
        if path in earlier and earlier[path] == fragment
        else File(declarations.to_text(fragment).encode(), 0o600)
        for path, fragment in kept.items()
    }
    damaged = {path: file for path, file in boot.files.items() if path.startswith(declarations.FOLDER) and path not in earlier}
    named = {declarations.path_of(item.key) for item in items if item.persist or not item.present}
    unread = {path: file for path, file in damaged.items() if path not in named and path not in wanted}
    wanted.update(unread)
    around: dict[str, File] = {}
    content = boot.files[files.ENGINE].content if boot.release > engine.version else engine.content
    if wanted:
        around = {**files.general(boot, content), **_around(boot, list(kept.values()))}
    if _served(items, boot) or _serve_at_boot(list(kept.values())):
        around.update(files.of_clients(boot, content))
    if unread:  # what it needs around it nobody knows: so all stays that is there
        around = {**{path: file for path, file in boot.files.items() if not path.startswith(declarations.FOLDER)}, **around}
    changes = [
        (path, boot.files.get(path), {**around, **wanted}.get(path))
        for path in dict.fromkeys([*around, *wanted, *boot.files])
        if boot.files.get(path) != {**around, **wanted}.get(path)
    ]
    if wanted and not boot.init and changes:
        notes.append(
            f"There is no service manager that starts things at boot here: have the host run this, as root, when it starts: "
            f"{files.command(boot.interpreter)}"
        )
    return BootPlan(*_in_order(changes, boot, moved), tuple(changes), tuple(notes))


def _served(items: Sequence[Wanted], boot: BootState) -> bool:
    """Whether there is a DHCP client after this task."""
    links = {leases.path_of(item.key.netns, item.key.name): item for item in items if isinstance(item.key, LinkKey)}
    gone = [f"{item.key.name}@" for item in items if isinstance(item.key, NetnsKey) and not item.present]
    stay = {path for path in boot.clients if path not in links and not any(f"/{place}" in path for place in gone)}
    for path, item in links.items():
        asked = item.dhcp4.enabled if item.dhcp4 is not None else path in boot.clients
        if item.present and asked:
            stay.add(path)
    return bool(stay)


def _serve_at_boot(fragments: Sequence[Fragment]) -> bool:
    """Whether a DHCP client is declared, be it that it runs by now or not."""
    entries = [entry for fragment in fragments for some in fragment.values() for entry in some]
    ends = [end for entry in entries for end in (entry, entry.get("peer") or {})]
    return any(end["dhcp4"].get("enabled", True) for end in ends if end.get("dhcp4") is not None)


def _kept(
    items: Sequence[Wanted], after: State, earlier: Mapping[str, Fragment], notes: list[str], moved: set[str]
) -> dict[str, Fragment]:
    """The declarations as they are to be. moved: learns of those that were put together with another one."""
    kept = dict(earlier)
    by_key = {item.key: item for item in items}
    for item in items:
        leader = by_key.get(item.attributes.get("peer"))
        if not item.leads and leader is not None and leader.leads:
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
        if pairs:
            before = declarations.as_seen_from(before, item.key, item.attributes.get("peer"))
            if item.persist:
                before = declarations.renamed(before, item.key, item.attributes.get("peer"))
        found: Fragment | None = None
        if item.attributes.get("controller") == "" and (item.kind is None or item.persist):
            before = found = declarations.detached(before, item.key)
            if item.kind is None:
                item = replace(item, attributes={name: value for name, value in item.attributes.items() if name != "controller"})
        new = declarations.written(item, by_key, before)
        if item.persist is None:
            if before and declarations.contradicts(before, new):
                notes.append(
                    f"{item.key}: its declaration for the next boot ({home}) says something else than this task. "
                    "Write persist: replay to save it as it is now, or persist: none to delete the declaration"
                )
        elif found is None or item.attributes:
            _check_place(item)
            found = _completed(item, declarations.overlaid(before, new), after)
        if found:
            there = {one for one in (*pairs, *map(declarations.path_of, _ends(found))) if one in kept}
            for one in pairs:
                kept.pop(one)
            _save(found, item.key, home, kept)
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
    return kept


def _completed(item: Wanted, fragment: Fragment, after: State) -> Fragment:
    """With what is not written, and has to be known at boot."""
    if isinstance(item.key, RouteKey):
        some = after.at(item.key)
        return declarations.directed(fragment, some[0] if len(some) == 1 else None)
    link = after.get(item.key) if isinstance(item.key, LinkKey) else None
    end = after.get(link.get("peer")) if link is not None else None
    return declarations.completed(fragment, link, end)


def _in_namespace(key: NetnsKey, kept: Mapping[str, Fragment]) -> list[str]:
    """The declarations of what goes with a namespace."""
    return [
        path
        for path, fragment in kept.items()
        for entries in fragment.values()
        for entry in entries
        if key.name in (entry.get("netns"), (entry.get("peer") or {}).get("netns"))
    ]


def _leaving_by(key: LinkKey, kept: Mapping[str, Fragment], by_key: Mapping[Any, Wanted]) -> list[str]:
    """The declarations of the routes that the kernel deletes along with a link, but for those that the task wants."""
    wanted = {declarations.path_of(one) for one, item in by_key.items() if isinstance(one, RouteKey) and item.present}
    return [
        path
        for path, fragment in kept.items()
        for entry in fragment.get("routes", ())
        if (entry.get("link"), entry.get("netns") or "") == (key.name, key.netns) and path not in wanted
    ]


def _pairs_of(item: Wanted, kept: Mapping[str, Fragment]) -> list[str]:
    """The declarations of pairs of which this is an end, or its peer is, which has another name then."""
    keys = {item.key, item.attributes.get("peer")} if isinstance(item.key, LinkKey) else set()
    return [path for path, fragment in kept.items() if keys & set(_ends(fragment))]


def _ends(fragment: Fragment) -> list[LinkKey]:
    """Of a pair, both."""
    pairs = [(entry, entry["peer"]) for entry in fragment.get("veth", ()) if entry.get("peer")]
    return [LinkKey(end.get("netns") or "", end["name"]) for pair in pairs for end in pair]


def _save(found: Fragment, key: Any, home: str, kept: dict[str, Fragment]) -> None:
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
    else:
        kept[path] = found


def _check_place(item: Wanted) -> None:
    for place in _places(item):
        if place.startswith("/"):
            raise InvalidValue(
                f"{item.key}: persist: the namespace {place} has no name, and its path may be another one after the next boot. "
                "Give it a name in /run/netns"
            )


def _places(item: Wanted) -> list[str]:
    """The namespaces that it is in, its lower device, and its other end."""
    keys = [item.key, item.attributes.get("lower_device"), item.attributes.get("peer")]
    return list(dict.fromkeys(key.netns for key in keys if key and not isinstance(key, NetnsKey)))


def _around(boot: BootState, fragments: Sequence[Fragment]) -> dict[str, File]:
    """What lower devices, managers and udev need to know of these declarations."""
    found: dict[str, File] = {}
    for name in sorted(declarations.awaited(fragments)):
        found.update(files.of_lower_device(boot, name))
    ours = [
        entry["name"]
        for fragment in fragments
        for kind in KINDS
        for made in fragment.get(kind, ())
        for entry in (made, made.get("peer") or {})
        if entry.get("name") and not entry.get("netns")
    ]
    found.update(files.hands_off(boot, ours))
    if any(not entry.get("netns") for fragment in fragments for name in ("routes", "rules") for entry in fragment.get(name, ())):
        found.update(files.keep_routing(boot))
    for fragment in fragments:
        for entry in fragment.get("macvtap", ()):
            found.update(files.node(boot, entry["name"], entry))
    return found


def _in_order(
    changes: Sequence[tuple[str, File | None, File | None]], boot: BootState, moved: set[str]
) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    saved = [change for change in changes if change[0].startswith(declarations.FOLDER)]
    others = [change for change in changes if not change[0].startswith(declarations.FOLDER)]
    come, go = [one for one in others if one[2] is not None], [one for one in others if one[2] is None]
    first: list[Operation] = []
    last: list[Operation] = []
    if come:
        first.append(ChangeFiles("prepare the next boot", tuple(come), _told(come, boot)))
        if any(path in _STARTED for path, _before, _after in come):
            first.append(Prove(boot.interpreter))
    old = [change for change in saved if change[2] is None and change[0] not in moved]
    if old:
        first.append(ChangeFiles("forget at the next boot", tuple(old)))
    new = [change for change in saved if change[2] is not None or change[0] in moved]
    if new:
        last.append(ChangeFiles("bring back at the next boot", tuple(new)))
    if go:
        last.append(ChangeFiles("tidy up for the next boot", tuple(go), _told(go, boot)))
    return tuple(first), tuple(last)


def _told(changes: Sequence[tuple[str, File | None, File | None]], boot: BootState) -> tuple[str, ...]:
    found = {program for folder, program in _READERS.items() for path, _b, _a in changes if path.startswith(folder)}
    if any(path == files.SCRIPT for path, _before, _after in changes):
        found.add(boot.init)
    return tuple(sorted(found))
