# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macvlan and macvtap: the kernel has the same attributes twice, under two names."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import (
    ROWS_OF_EVERY_LINK,
    listed,
    without_initial,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._lower_device import HINTS, check_receiver, lower_device
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    INVERTED,
    U32,
    AddressSource,
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import USER, USER_GROUP
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import FileMode, Integer

PASSTHRU = "passthru"
SOURCE = "source"


_REFLECTED = ("private", "vepa", "bridge")  # modes between which frames pass through a reflecting switch only
_SIBLINGS = ("macvlan", "macvtap")


def _crosses_passthru(before: Attributes, after: Attributes) -> str | None:
    """Passthru takes the lower device over."""
    crosses = (before.get("mode") == PASSTHRU) != (after.get("mode") == PASSTHRU)
    return f"no link can enter or leave mode {PASSTHRU}" if crosses else None


def _unsafe_nopromisc(before: Attributes, after: Attributes) -> str | None:
    """On a passthru link that is down, the kernel miscounts the promiscuity of the lower device.

    Setting the flag takes the counter to -1, clearing it leaves the device promiscuous for ever (Linux 6.18): only a link
    that is up, before or after, takes the change.
    """
    is_unsafe = after.get("mode") == PASSTHRU and before.get("admin_state") == after.get("admin_state") == "down"
    return f"it changes safely only on a {PASSTHRU} link that is up" if is_unsafe else None


def draws_address(kind: Kind, attributes: Attributes) -> bool:
    """Whether a new link with these attributes draws a MAC address, which it keeps; passthru has that of its lower device."""
    return kind.address is AddressSource.RANDOM and attributes.get("mode") != PASSTHRU


def shares_address(kind: Kind, attributes: Attributes) -> bool:
    """Whether a link with these attributes always has the MAC address of its lower device."""
    return kind.address is AddressSource.SHARED or attributes.get("mode") == PASSTHRU


def _others(case: Situation, lower: Link, modes: Collection[str] | None = None) -> Iterator[Link]:
    """The other macvlans and macvtaps of these modes (None: of all) on a lower device."""
    return (link for link in case.state.links_of_kinds(lower.key, _SIBLINGS, modes) if link.key != case.key)


def _holders(item: DesiredLink, lower: LinkKey, state: State) -> Iterator[LinkKey]:
    """The links on the lower device with the MAC address that a link is to have, or that exclude its mode."""
    current = state.get(item.key)
    moves = current is None or current.lower_device != lower
    if item.address and (moves or item.address != (current.address if current else None)):
        yield from (link.key for link in state.links_with_mac(lower, item.address))
    if moves or (item.mode and item.mode != (current.mode if current else None)):
        modes = None if item.mode == PASSTHRU else (PASSTHRU,)
        yield from (link.key for link in state.links_of_kinds(lower, _SIBLINGS, modes))


def _check_passthru(case: Situation) -> None:
    if case.lower is None or not (case.is_new or "mode" in case.changed):
        return
    exclusive = next(_others(case, case.lower, (PASSTHRU,)), None)
    if exclusive is not None:
        raise Refused(
            f"{case.key}: {exclusive.key} uses lower device {case.lower.key} exclusively (mode passthru). "
            f"Delete {exclusive.key.name} first, or use another lower_device"
        )
    others = list(_others(case, case.lower)) if case.after.get("mode") == PASSTHRU else []
    if others:
        raise Refused(
            f"{case.key}: mode passthru needs lower device {case.lower.key} exclusively, but "
            f"{listed(link.key for link in others)} {'uses' if len(others) == 1 else 'use'} it. "
            "Delete those links first, or set another lower_device or mode"
        )


def _check_address(case: Situation) -> None:
    address, lower = AttributeView(case.after).address, case.lower
    if not address or lower is None or case.after.get("mode") == PASSTHRU:
        return
    is_up = case.after.get("admin_state") == "up"
    if not (case.is_new or "address" in case.changed or (is_up and "admin_state" in case.changed)):
        return
    # The kernel compares when a link comes up, and when the address of an existing one changes: then with siblings that are up.
    if lower.get("address") == address and (is_up or not case.is_new):
        raise Refused(
            f"{case.key}: {address} is the MAC address of its lower device {lower.key}, which the kernel allows no "
            f"{case.kind.name} to have. Set another address (the filter patchbay.netdev.stable_mac makes one)"
        )
    if case.is_new and not is_up:
        return
    for other in case.state.links_with_mac(lower.key, address):
        if other.key != case.key and other.get("admin_state") == "up" and other.get("mode") != PASSTHRU:
            raise Refused(
                f"{case.key}: {other.key} on the same lower device {lower.key} is up with the MAC address {address}, and only "
                "one of two links with one address can be up. Set another address, or take that link down first"
            )


def _check_source_addresses(case: Situation) -> None:
    if case.desired.attributes.get("source_addresses") and case.after.get("mode") != SOURCE:
        raise Refused(
            f"{case.key}: source_addresses require mode source, but the mode is {case.after.get('mode')}. "
            "Set mode: source, or omit source_addresses"
        )


def _check_node(case: Situation) -> None:
    is_changed = any(name.startswith("device_") for name in case.changed)
    if is_changed and case.before is not None and case.before.get("device") is None:
        node = f"/dev/tap{case.before.index}"
        raise Refused(
            f"{case.key}: the link has no device node of its own: {node} is missing, or belongs to a link with the same index in "
            f"another namespace. Delete that link first, or have {case.key.name} created again"
        )


def _check_no_controller(case: Situation) -> None:
    if case.changed.get("controller"):
        raise Refused(
            f"{case.key}: a macvtap passes its frames to its device node, so it cannot be attached to "
            f"{case.changed['controller']}. Use a macvlan or a veth"
        )


def _warn_of_modes(case: Situation) -> Iterator[str]:
    """Links of different modes on one lower device never receive each other's frames directly."""
    mode, lower = case.after.get("mode"), case.lower
    if lower is None or mode not in _REFLECTED or not (case.is_new or "mode" in case.changed):
        return
    others = _others(case, lower, [other for other in _REFLECTED if other != mode])
    strangers = sorted(f"{link.key} ({link.mode})" for link in others)
    if strangers:
        yield (
            f"{case.key}: in mode {mode} it exchanges no frames on {lower.key} with {listed(strangers)}, except through a switch "
            "that reflects them (hairpin)"
        )


_MODES = {"vepa": "1", "bridge": "2", "private": "3", PASSTHRU: "4", SOURCE: "5"}


def _on_lower_device(kind: str) -> tuple[Attribute, ...]:
    """The rows that macvlan and macvtap share: the kernel has the same attributes twice, under two names."""
    section = kind.upper()
    prefix = f"IFLA_{section}_"
    return (
        lower_device(ManagerSetting("Network", section, is_single=False), ManagerSetting("macvlan", "parent")),
        Attribute(
            "mode",
            Choice({"private": 1, "vepa": 2, "bridge": 4, PASSTHRU: 8, SOURCE: 16}),
            Store.DATA,
            prefix + "MODE",
            initial="vepa",
            recreate_if=_crosses_passthru,
            is_declared=True,
            networkd=netdev_setting(section, "Mode"),
            networkmanager=ManagerSetting("macvlan", "mode", _MODES),
        ),
        Attribute(
            "nopromisc",
            Boolean(),
            Store.DATA_FLAG,
            prefix + "FLAGS",
            bit=1,
            initial=False,
            recreate_if=_unsafe_nopromisc,
            networkmanager=ManagerSetting("macvlan", "promiscuous", INVERTED),
        ),
        Attribute("nodst", Boolean(), Store.DATA_FLAG, prefix + "FLAGS", bit=2, initial=False, since="5.13"),
        # Above some 2,550 addresses the kernel's dumps are cut short, above 5,454 they are garbage.
        Attribute(
            "source_addresses",
            SetOf(Mac(), maximum=1000),
            Store.SOURCES,
            prefix + "MACADDR_DATA",
            initial=(),
            only_in_mode=SOURCE,
            networkd=netdev_setting(section, "SourceMACAddress"),
            check=_check_source_addresses,
        ),
        Attribute(
            "bc_queue_len",
            Integer(0, U32),
            Store.DATA,
            prefix + "BC_QUEUE_LEN",
            initial=1000,
            since="5.11",
            networkd=netdev_setting(section, "BroadcastMulticastQueueLength") if kind == "macvlan" else None,
        ),
        Attribute(
            "bc_cutoff",
            Integer(-(1 << 31), (1 << 31) - 1),
            Store.DATA,
            prefix + "BC_CUTOFF",
            initial=1,
            per_lower_device=True,
            since="6.4",
            networkd=netdev_setting(section, "BroadcastQueueThreshold", since=256) if kind == "macvlan" else None,
        ),
    )


# A new link in mode passthru has the MAC address of its lower device, whatever the request says.
_COMMON = tuple(replace(row, ignored_in_mode=PASSTHRU) if row.name == "address" else row for row in ROWS_OF_EVERY_LINK)
_CHECKS = (check_receiver, _check_passthru, _check_address)
_HINTS = {
    **HINTS,
    errno.EINVAL: "A macvlan or macvtap on {lower} in a namespace that was not read may exclude it (mode passthru is exclusive)",
}

MACVLAN = Kind(
    "macvlan",
    _on_lower_device("macvlan") + _COMMON,
    needs=("lower_device",),
    port=PORT,
    checks=_CHECKS,
    warn=_warn_of_modes,
    hints=_HINTS,
    holders=_holders,
    siblings=_SIBLINGS,
    excludes=("ipvlan", "ipvtap"),
)

MACVTAP = Kind(  # which has a receive handler of its own, and so cannot be a port
    "macvtap",
    (
        Attribute("device_owner", USER, Store.NODE, at=At.AFTER, check=_check_node),
        Attribute("device_group", USER_GROUP, Store.NODE, at=At.AFTER, check=_check_node),
        Attribute("device_mode", FileMode(), Store.NODE, at=At.AFTER, check=_check_node),
        *_on_lower_device("macvtap"),
        *without_initial(_COMMON, "tx_queue_len", "num_tx_queues", "num_rx_queues"),
    ),
    needs=("lower_device",),
    checks=(*_CHECKS, _check_no_controller),
    warn=_warn_of_modes,
    hints=_HINTS,
    holders=_holders,
    siblings=_SIBLINGS,
    excludes=("ipvlan", "ipvtap"),
    networkmanager={"connection": {"type": "macvlan"}, "macvlan": {"tap": "true"}},
)
