# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before anything is sent: what the kernel would refuse, or acknowledge and not do. Pure.

macvlan gives no text with its errors: one EINVAL or EBUSY stands for a dozen causes. So each kind and each attribute in the table
has checks that name the cause and the remedy; this file runs them, and has those that belong to no kind. What cannot be seen from
here (a sibling in a namespace that was not read) is named by `hint` afterwards.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import check_port
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import name_taken
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, NeedsRecreate, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewLink, Request, SetLink


def check(case: Situation) -> None:
    """Raise Refused with a sentence if the kernel would not do what is desired."""
    kind = case.kind
    is_set = {**case.desired.attributes, **case.changed}
    for check_kind in kind.checks:
        check_kind(case)
    checks = [row.check for row in kind.options if row.name in is_set]
    for check_row in (*checks, check_port, *(row.check for row in kind.port if row.name in is_set)):
        if check_row is not None:
            check_row(case)


def warnings(case: Situation) -> Iterator[str]:
    """What the kernel will do, although it may not be what is meant."""
    lower = case.lower
    if lower is not None and lower.admin_state == "down":
        yield (
            f"{case.key}: lower device {lower.key} is down, so no frames pass. Set lower_device_state: up to bring it up as well"
        )
    elif lower is not None and lower.carrier is False:
        yield f"{case.key}: lower device {lower.key} has no carrier, so no frames pass, not even between links on it"
    if case.kind.warn is not None:
        yield from case.kind.warn(case)


def option_warnings(case: Situation) -> Iterator[str]:
    """The same about single options, as soon as the state is that after the complete plan."""
    for row in case.kind.rows(case.desired.attributes):
        if row.warn is not None:
            yield from row.warn(case)


def unreadable_sentence(namespaces: Sequence[str]) -> str:
    """What is said about namespaces that the task may not read."""
    names = ", ".join(namespaces[:5]) + (f" and {len(namespaces) - 5} others" if len(namespaces) > 5 else "")
    return f"Network namespaces could not be read without privileges: {names}. Set become: true."


def lower_missing(key: LinkKey, lower: LinkKey, state: State) -> Missing:
    """The refusal of a lower device that does not exist."""
    available = sorted(link.key.name for link in state if link.key.netns == lower.netns and link.ethernet)
    netns = f"netns {lower.netns}" if lower.netns else "the namespace of the task"
    return Missing(
        f"{key}: lower device {lower.name} does not exist in {netns}",
        f"Available: {', '.join(available[:20]) or 'none'}. "
        "Set another lower_device, or lower_device_netns, or create it first with the module of its kind",
    )


def check_itself(item: DesiredLink) -> None:
    """Raise Refused if a link refers to itself."""
    if item.lower_device == item.key:
        raise Refused(f"{item.key}: a link cannot be its own lower device. Set another lower_device")
    if item.controller == item.key.name:
        raise Refused(f"{item.key}: a link cannot be attached to itself. Set another controller")
    if item.peer == item.key:
        raise Refused(f"{item.key}: both ends of the pair have this name and namespace. Set another name or netns for the peer")


def link_missing(key: LinkKey, state: State) -> Missing:
    """The refusal of a change to a link that must exist and does not."""
    available = sorted(link.key.name for link in state if link.key.netns == key.netns)
    return Missing(
        f"{key}: the link does not exist",
        f"Create it with the module of its kind first, or use one of: {', '.join(available[:20])}",
    )


def check_view(item: DesiredLink, current: Link) -> None:
    """Raise Refused if a link of this kind has no such attribute, or an asserted one differs."""
    known = {row.name for row in kind_of(current.kind).attributes}
    unknown = [name for name in item.attributes if name not in known]
    if unknown:
        raise Refused(
            f"{item.key}: a link of kind {current.kind} cannot be a bridge port, so it has no {unknown[0]}. Omit {unknown[0]}"
        )
    for name, value in item.asserted.items():
        if current.get(name) != value:
            attachment = f"attached to {current.get(name)}" if current.get(name) else "not attached to any bridge"
            raise Missing(
                f"{item.key}: it is not a port of {value}: it is {attachment}",
                f"Attach it first (bridge_port: port={item.key.name} bridge={value})",
            )


def check_name(key: LinkKey, state: State) -> None:
    """Raise Refused if a new link would have the alternative name of another one."""
    owner = state.owner_of_altname(key)
    if owner is not None:
        raise name_taken(key, owner)


def fixed_changes(case: Situation) -> dict[str, str]:
    """The changes that the kernel does not make on an existing link, as sentences, and why."""
    fixed: dict[str, str] = {}
    before = case.before
    if before is None:
        return fixed
    for row in case.kind.rows(case.changed):
        reason = row.recreate_if(before.attributes, case.after)
        if reason is not None:
            old, new = row.type.describe(before.get(row.name)), row.type.describe(case.desired.attributes[row.name])
            fixed[f"{row.name} {old} -> {new}"] = reason
    return fixed


def needs_recreate(key: LinkKey, fixed: Mapping[str, str]) -> NeedsRecreate:
    """The refusal of changes that the kernel does not make on an existing link."""
    return NeedsRecreate(
        f"{key}: {', '.join(fixed)}",
        f"{', '.join(dict.fromkeys(fixed.values()))}. "
        "Set recreate: when_required to delete the link and create it again, with its contents where the kernel allows it",
    )


def hint(request: Request, code: int) -> str:
    """What may have made the kernel refuse a request that passed all checks; empty when there is nothing to add."""
    if not isinstance(request, (NewLink, SetLink)):
        return ""
    attributes, kind = request.attributes, kind_of(request.kind)
    hints = [row.hints[code] for row in kind.rows(attributes) if code in row.hints]
    if hints:
        return hints[0]
    if isinstance(request, NewLink):
        lower = AttributeView(attributes).lower_device
        if code == errno.EOPNOTSUPP:
            return f"This kernel has no {request.kind}: try modprobe {kind.module or request.kind}"
        if code in kind.hints and lower is not None:
            return kind.hints[code].format(lower=lower.name)
        if code == errno.EEXIST:
            return "A link of that name was created by others at the same moment: run the task again"
    if code == errno.EADDRINUSE:
        return "A link on the same lower device, in a namespace that was not read, is up with the same MAC address"
    if code == errno.EINVAL and attributes.get("address_generation_mode") == "stable_secret":
        return "stable_secret requires net.ipv6.conf.LINK.stable_secret to be set first"
    return ""
