# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a bridge port. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

IDENTITY = r"""
port:
  description:
    - Name of the link that is the bridge port, at most 15 bytes.
  type: str
  required: true
netns:
  description:
    - Network namespace of the bridge port, as a name in C(/run/netns) or an absolute path.
    - Defaults to the namespace in which the module runs.
  type: str
"""

MEMBERSHIP = r"""
bridge:
  description:
    - >-
      Bridge to attach the link to. A port of another bridge is moved, which resets all port settings to their defaults except those that
      the task sets.
    - If omitted, the link must already be a bridge port.
  type: str
state:
  description:
    - Whether the link should be a bridge port.
    - V(absent) detaches the link from its bridge or other controller. The link itself is kept. It makes no change if the link does
      not exist.
  type: str
  choices: [present, absent]
  default: present
"""

SETTINGS = r"""
hairpin:
  description:
    - Whether the bridge may send frames out of the port that it received them on (reflective relay).
  type: bool
  aliases: [reflective_relay]
learning:
  description:
    - Whether the bridge learns MAC addresses from frames that it receives on the port.
  type: bool
unicast_flood:
  description:
    - Whether the bridge floods frames with an unknown unicast destination to the port.
  type: bool
  aliases: [flood]
multicast_flood:
  description:
    - Whether the bridge floods multicast frames without known listeners to the port.
  type: bool
  aliases: [mcast_flood]
broadcast_flood:
  description:
    - Whether the bridge floods broadcast frames to the port.
  type: bool
  aliases: [bcast_flood]
isolated:
  description:
    - Whether the port is isolated. An isolated port exchanges no frames with other isolated ports.
  type: bool
locked:
  description:
    - Whether the port accepts only frames from MAC addresses that the bridge knows on this port. Requires Linux 5.18.
  type: bool
mab:
  description:
    - >-
      Whether the bridge records the MAC addresses that a locked port receives as locked entries (MAC authentication bypass). Requires a
      locked port with learning enabled, and Linux 6.2.
  type: bool
neigh_suppress:
  description:
    - >-
      Whether the bridge replies to ARP and neighbor discovery requests from the entries that it knows instead of flooding them to the port.
  type: bool
neigh_vlan_suppress:
  description:
    - Whether the suppression of ARP and neighbor discovery requests is controlled per VLAN. Requires Linux 6.4.
  type: bool
proxy_arp:
  description:
    - Whether the bridge replies to ARP requests that it receives on the port for addresses that it knows (proxy ARP).
  type: bool
proxy_arp_wifi:
  description:
    - >-
      Whether the bridge replies to ARP requests that it receives on the port as IEEE 802.11 and Hotspot 2.0 require of wireless access
      points.
  type: bool
bpdu_guard:
  description:
    - Whether the port is disabled when it receives an STP packet (BPDU).
  type: bool
  aliases: [guard]
root_block:
  description:
    - Whether the port may not become the root port.
  type: bool
fast_leave:
  description:
    - Whether the bridge stops forwarding multicast frames to the port as soon as a listener leaves the group.
  type: bool
  aliases: [fastleave]
multicast_to_unicast:
  description:
    - Whether the bridge sends multicast frames to each listener as unicast frames.
  type: bool
  aliases: [mcast_to_unicast]
vlan_tunnel:
  description:
    - Whether VLANs are mapped to tunnels on the port.
  type: bool
multicast_router:
  description:
    - >-
      Whether a multicast router is attached to the port. V(0) never, V(1) if the bridge detects one, V(2) always, V(3) temporarily.
  type: int
  aliases: [mcast_router]
multicast_max_groups:
  description:
    - Maximum number of multicast groups on the port, V(0) for no limit. Requires Linux 6.3.
  type: int
  aliases: [mcast_max_groups]
priority:
  description:
    - Priority of the port in the spanning tree, from 0 to 63.
  type: int
cost:
  description:
    - >-
      Path cost of the port in the spanning tree, from 1 to 65535. The kernel derives the cost from the link speed until it is set.
  type: int
group_fwd_mask:
  description:
    - >-
      Link-local group addresses that the bridge forwards from the port, as a bit mask that starts at 01-80-C2-00-00-00. Bit 1 cannot be
      set.
  type: int
backup_port:
  description:
    - >-
      Other port of the bridge that takes over the traffic while the port has no carrier. An empty string removes the backup port.
  type: str
stp_state:
  description:
    - State of the port in the spanning tree. Can be set only while the port is up and STP is disabled on the bridge.
  type: str
  choices: [disabled, forwarding]
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(IDENTITY + MEMBERSHIP + SETTINGS, "  ")
    NAMED: str = "options:" + indent(IDENTITY, "  ")
