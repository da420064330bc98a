# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macvlan and macvtap."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK, without_initial
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._lower_device import lower_device
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    INVERTED,
    U32,
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Store,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import USER, USER_GROUP
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import FileMode, Integer

PASSTHRU = "passthru"
SOURCE = "source"


def _crosses_passthru(before: Attributes, after: Attributes) -> bool:
    """Passthru takes the lower device over, so the kernel refuses to enter or to leave it."""
    return (before.get("mode") == PASSTHRU) != (after.get("mode") == PASSTHRU)


def _unsafe_nopromisc(before: Attributes, after: Attributes) -> bool:
    """On a passthru link that is down, the kernel miscounts the promiscuity of the lower device.

    Setting the flag takes the counter to -1, clearing it leaves the device promiscuous for ever (Linux 6.18): only a link
    that is up, before or after, takes the change.
    """
    return after.get("mode") == PASSTHRU and before.get("admin_state") == after.get("admin_state") == "down"


_MODES = {"vepa": "1", "bridge": "2", "private": "3", PASSTHRU: "4", SOURCE: "5"}


def _on_lower_device(kind: str) -> tuple[Attribute, ...]:
    """The rows that macvlan and macvtap share: the kernel has the same attributes twice, under two names."""
    section = kind.upper()
    prefix = f"IFLA_{section}_"
    return (
        lower_device(ManagerSetting("Network", section), ManagerSetting("macvlan", "parent")),
        Attribute(
            "mode",
            Choice({"private": 1, "vepa": 2, "bridge": 4, PASSTHRU: 8, SOURCE: 16}),
            Store.DATA,
            prefix + "MODE",
            initial="vepa",
            recreate_if=_crosses_passthru,
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
            SetOf(Mac(), most=1000),
            Store.SOURCES,
            prefix + "MACADDR_DATA",
            initial=(),
            networkd=netdev_setting(section, "SourceMACAddress"),
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


MACVLAN = Kind(
    "macvlan", _on_lower_device("macvlan") + ROWS_OF_EVERY_LINK, needs=("lower_device",), port=PORT, flat=True, draws_address=True
)


MACVTAP = Kind(  # which has a receive handler of its own, and so cannot be a port
    "macvtap",
    (
        Attribute("device_owner", USER, Store.NODE, at=At.AFTER),
        Attribute("device_group", USER_GROUP, Store.NODE, at=At.AFTER),
        Attribute("device_mode", FileMode(), Store.NODE, at=At.AFTER),
        *_on_lower_device("macvtap"),
        *without_initial(ROWS_OF_EVERY_LINK, "tx_queue_len", "num_tx_queues", "num_rx_queues"),
    ),
    needs=("lower_device",),
    flat=True,
    draws_address=True,
)
