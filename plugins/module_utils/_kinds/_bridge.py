# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, and what they take as a port."""

from __future__ import annotations

import errno
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK, listed
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    AddressSource,
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import AttributeView, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer, Mask, Seconds

_NO_VLAN_FILTERING = {errno.EOPNOTSUPP: "This kernel has no VLAN filtering on bridges (CONFIG_BRIDGE_VLAN_FILTERING)"}


def _check_no_bridge_in_bridge(case: Situation) -> None:
    name = AttributeView(case.changed).controller
    controller = case.state.get(LinkKey(case.key.netns, name)) if name else None
    if controller is not None and case.kind_of(controller.kind).has_ports:
        raise Refused(
            f"{case.key}: a bridge cannot be attached to a bridge, which the kernel refuses as a loop. "
            f"Connect it to {name} with a veth pair"
        )


def _check_new_port(case: Situation) -> None:
    bridge = case.changed["controller"]
    if case.key.name == "lo":
        raise Refused(f"{case.key}: the loopback device cannot be a bridge port. Use a dummy or a veth")
    receivers = [link.key for link in case.state.links_on(case.key) if case.kind_of(link.kind).siblings]
    if receivers:
        receive = "receives" if len(receivers) == 1 else "receive"
        raise Refused(
            f"{case.key}: {listed(receivers)} already {receive} from it, so it cannot be a bridge port. "
            f"Use {bridge} as lower_device of {listed(receivers)}, or delete {listed(receivers)} first"
        )


def _check_forward_delay(case: Situation) -> None:
    delay = AttributeView(case.after).number("forward_delay")
    if case.after.get("stp_state") and delay is not None and not 200 <= delay <= 3000:
        raise Refused(
            f"{case.key}: forward_delay {delay / 100:g} is outside the 2 to 30 seconds that STP requires. "
            "Set another forward_delay, or stp_state: false"
        )


def _check_vlan_default_pvid(case: Situation) -> None:
    is_changed = case.changed.get("vlan_default_pvid") is not None
    if is_changed and case.before is not None and case.before.get("vlan_default_pvid") is None:
        raise Refused(
            f"{case.key}: vlan_default_pvid requires VLAN filtering, which this kernel lacks (CONFIG_BRIDGE_VLAN_FILTERING). "
            "Omit it"
        )


def _bridge_common() -> tuple[Attribute, ...]:
    """Only an MTU that is set on an existing bridge stays: one that is set at creation follows the ports."""
    return tuple(replace(row, at=At.AFTER) if row.name == "mtu" else row for row in ROWS_OF_EVERY_LINK)


BRIDGE = Kind(  # which cannot be a port itself
    "bridge",
    (
        Attribute(
            "stp_state",
            Boolean(),
            Store.DATA,
            "IFLA_BR_STP_STATE",
            initial=False,
            aliases=("stp",),
            networkd=netdev_setting("Bridge", "STP"),
            networkmanager=ManagerSetting("bridge", "stp"),
            check=_check_forward_delay,
        ),
        Attribute(
            "forward_delay",
            Seconds(0, 2147483),
            Store.DATA,
            "IFLA_BR_FORWARD_DELAY",
            initial=1500,
            networkd=netdev_setting("Bridge", "ForwardDelaySec"),
            networkmanager=ManagerSetting("bridge", "forward-delay"),
            check=_check_forward_delay,
        ),
        Attribute(
            "hello_time",
            Seconds(1, 10),
            Store.DATA,
            "IFLA_BR_HELLO_TIME",
            initial=200,
            networkd=netdev_setting("Bridge", "HelloTimeSec"),
            networkmanager=ManagerSetting("bridge", "hello-time"),
        ),
        Attribute(
            "max_age",
            Seconds(6, 40),
            Store.DATA,
            "IFLA_BR_MAX_AGE",
            initial=2000,
            networkd=netdev_setting("Bridge", "MaxAgeSec"),
            networkmanager=ManagerSetting("bridge", "max-age"),
        ),
        Attribute(
            "ageing_time",
            Seconds(0, 10000000),
            Store.DATA,
            "IFLA_BR_AGEING_TIME",
            initial=30000,
            networkd=netdev_setting("Bridge", "AgeingTimeSec"),
            networkmanager=ManagerSetting("bridge", "ageing-time"),
        ),
        Attribute(
            "priority",
            Integer(0, 65535),
            Store.DATA,
            "IFLA_BR_PRIORITY",
            initial=32768,
            networkd=netdev_setting("Bridge", "Priority"),
            networkmanager=ManagerSetting("bridge", "priority"),
        ),
        Attribute(
            "vlan_filtering",
            Boolean(),
            Store.DATA,
            "IFLA_BR_VLAN_FILTERING",
            initial=False,
            networkd=netdev_setting("Bridge", "VLANFiltering"),
            networkmanager=ManagerSetting("bridge", "vlan-filtering"),
            hints=_NO_VLAN_FILTERING,
        ),
        Attribute(
            "vlan_default_pvid",
            Integer(0, 4094),
            Store.DATA,
            "IFLA_BR_VLAN_DEFAULT_PVID",
            usual=1,
            networkd=netdev_setting("Bridge", "DefaultPVID"),
            networkmanager=ManagerSetting("bridge", "vlan-default-pvid"),
            hints=_NO_VLAN_FILTERING,
            check=_check_vlan_default_pvid,
        ),
        Attribute(
            "multicast_snooping",
            Boolean(),
            Store.DATA,
            "IFLA_BR_MCAST_SNOOPING",
            initial=True,
            aliases=("mcast_snooping",),
            networkd=netdev_setting("Bridge", "MulticastSnooping"),
            networkmanager=ManagerSetting("bridge", "multicast-snooping"),
        ),
        Attribute(
            "multicast_querier",
            Boolean(),
            Store.DATA,
            "IFLA_BR_MCAST_QUERIER",
            initial=False,
            aliases=("mcast_querier",),
            networkd=netdev_setting("Bridge", "MulticastQuerier"),
            networkmanager=ManagerSetting("bridge", "multicast-querier"),
        ),
        Attribute(
            "group_fwd_mask",
            Mask(0, 0xFFFF, never=0x7),
            Store.DATA,
            "IFLA_BR_GROUP_FWD_MASK",
            initial=0,
            networkd=netdev_setting("Bridge", "GroupForwardMask"),
            networkmanager=ManagerSetting("bridge", "group-forward-mask"),
        ),
        *_bridge_common(),
    ),
    checks=(_check_no_bridge_in_bridge,),
    admits=(_check_new_port,),
    is_controller=True,
    has_ports=True,
    address=AddressSource.VARYING,
    networkd_key="Bridge",
    networkmanager={"bridge": {"stp": "false"}},  # its default is on
)
