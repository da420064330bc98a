# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a bridge. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
stp_state:
  description:
    - Whether the Spanning Tree Protocol (STP) of the kernel is enabled on the bridge.
  type: bool
  aliases: [stp]
forward_delay:
  description:
    - Seconds that a port spends in the listening state and then in the learning state. From 2 to 30 if STP is enabled.
  type: float
hello_time:
  description:
    - Seconds between two STP hello packets, from 1 to 10.
  type: float
max_age:
  description:
    - Seconds for which a hello packet of the root bridge is valid, from 6 to 40.
  type: float
ageing_time:
  description:
    - Seconds for which the bridge keeps a learned MAC address that sends no frames.
  type: float
priority:
  description:
    - Priority of the bridge in the spanning tree. The bridge with the lowest value becomes the root bridge.
  type: int
vlan_filtering:
  description:
    - Whether the bridge filters frames by their VLAN tags. The kernel must support VLAN filtering of bridges.
  type: bool
vlan_default_pvid:
  description:
    - VLAN ID that new ports assign to untagged frames, V(0) for none. The kernel must support VLAN filtering of bridges.
  type: int
multicast_snooping:
  description:
    - Whether the bridge forwards multicast frames only to ports with listeners.
  type: bool
  aliases: [mcast_snooping]
multicast_querier:
  description:
    - Whether the bridge itself sends the queries that find multicast listeners.
  type: bool
  aliases: [mcast_querier]
group_fwd_mask:
  description:
    - >-
      Link-local group addresses that the bridge forwards, as a bit mask that starts at 01-80-C2-00-00-00. The three lowest bits (STP,
      pause frames and link aggregation) cannot be set.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
