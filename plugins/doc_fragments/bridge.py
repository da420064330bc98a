# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a bridge. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
stp_state:
  description:
    - Whether the bridge runs the Spanning Tree Protocol of the kernel.
  type: bool
  aliases: [stp]
forward_delay:
  description:
    - Seconds that a port listens and learns before it forwards. With STP from 2 to 30.
  type: float
hello_time:
  description:
    - Seconds between two hello packets, from 1 to 10.
  type: float
max_age:
  description:
    - Seconds that a hello packet of the root bridge is valid, from 6 to 40.
  type: float
ageing_time:
  description:
    - Seconds that an address which was learned is remembered without being seen.
  type: float
priority:
  description:
    - Priority of the bridge in the spanning tree. The lowest becomes the root.
  type: int
vlan_filtering:
  description:
    - Whether the bridge looks at VLAN tags. The kernel has to be built with it.
  type: bool
vlan_default_pvid:
  description:
    - VLAN that new ports get for frames without a tag, V(0) for none. The kernel has to be built with VLAN filtering.
  type: int
multicast_snooping:
  description:
    - Whether multicasts go only to the ports where somebody listens.
  type: bool
  aliases: [mcast_snooping]
multicast_querier:
  description:
    - Whether the bridge asks by itself who listens to multicasts.
  type: bool
  aliases: [mcast_querier]
group_fwd_mask:
  description:
    - >-
      Which of the link-local addresses from 01-80-C2-00-00-00 on are forwarded, a bit for each. The lowest three bits, for STP, pause
      frames and link aggregation, cannot be set.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
