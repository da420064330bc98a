# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a port of a bridge. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

IDENTITY = r"""
port:
  description:
    - Name of the link that is the port, at most 15 bytes.
  type: str
  required: true
netns:
  description:
    - Network namespace that the port is in, by its name in C(/run/netns) or by an absolute path.
    - Without it, the namespace that the module runs in.
  type: str
"""

MEMBERSHIP = r"""
bridge:
  description:
    - >-
      Bridge that the link is attached to. A link that hangs on another one is moved, with all its settings back at their defaults
      but for those written here.
    - Without it, the link has to be a port already.
  type: str
state:
  description:
    - Whether the link is a port.
    - C(absent) detaches it, from whatever it is attached to. The link itself stays.
  type: str
  choices: [present, absent]
  default: present
"""

SETTINGS = r"""
hairpin:
  description:
    - >-
      Whether frames may leave by the port that they came in on (reflective relay).
  type: bool
  aliases: [reflective_relay]
learning:
  description:
    - >-
      Whether the bridge learns addresses from frames of this port.
  type: bool
unicast_flood:
  description:
    - >-
      Whether frames to unknown addresses leave by this port.
  type: bool
  aliases: [flood]
multicast_flood:
  description:
    - >-
      Whether multicasts that nobody is known to listen to leave by this port.
  type: bool
  aliases: [mcast_flood]
broadcast_flood:
  description:
    - >-
      Whether broadcasts leave by this port.
  type: bool
  aliases: [bcast_flood]
isolated:
  description:
    - >-
      Whether the port is kept from talking to other isolated ports.
  type: bool
locked:
  description:
    - >-
      Whether only frames from addresses that the bridge knows on this port are taken. Linux 5.18.
  type: bool
mab:
  description:
    - >-
      Whether addresses that a locked port sees are noted as locked entries (MAC authentication bypass). It needs a locked port that learns. Linux 6.2.
  type: bool
neigh_suppress:
  description:
    - >-
      Whether ARP and neighbour requests are answered from what is known, and not flooded to this port.
  type: bool
neigh_vlan_suppress:
  description:
    - >-
      The same for each VLAN. Linux 6.4.
  type: bool
proxy_arp:
  description:
    - >-
      Whether the bridge answers ARP requests of this port for addresses that it knows.
  type: bool
proxy_arp_wifi:
  description:
    - >-
      The same by the rules of wireless access points (IEEE 802.11, Hotspot 2.0).
  type: bool
bpdu_guard:
  description:
    - >-
      Whether the port is disabled when it receives a packet of STP.
  type: bool
  aliases: [guard]
root_block:
  description:
    - >-
      Whether the port is kept from becoming the way to the root bridge.
  type: bool
fast_leave:
  description:
    - >-
      Whether multicasts stop at once when a listener leaves.
  type: bool
  aliases: [fastleave]
multicast_to_unicast:
  description:
    - >-
      Whether multicasts are sent to each listener as unicasts.
  type: bool
  aliases: [mcast_to_unicast]
vlan_tunnel:
  description:
    - >-
      Whether VLANs are mapped to tunnels on this port.
  type: bool
multicast_router:
  description:
    - >-
      Whether a multicast router is behind the port. V(0) never, V(1) when one is heard, V(2) always, V(3) for a while.
  type: int
  aliases: [mcast_router]
multicast_max_groups:
  description:
    - >-
      Largest number of multicast groups on the port, V(0) for no bound. Linux 6.3.
  type: int
  aliases: [mcast_max_groups]
priority:
  description:
    - >-
      Priority of the port in the spanning tree, from 0 to 63.
  type: int
cost:
  description:
    - >-
      Cost of the way through the port in the spanning tree, from 1 to 65535. The kernel derives it from the speed until it is set.
  type: int
group_fwd_mask:
  description:
    - >-
      Which link-local addresses are forwarded from this port, a bit for each, as for the bridge. Bit 1 cannot be set.
  type: int
backup_port:
  description:
    - >-
      Other port of the bridge that takes the traffic while this one has no carrier. An empty name takes it away.
  type: str
stp_state:
  description:
    - >-
      State of the port in the spanning tree. Only while the port is up and the bridge does not run STP.
  type: str
  choices: [disabled, forwarding]
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(IDENTITY + MEMBERSHIP + SETTINGS, "  ")
    NAMED: str = "options:" + indent(IDENTITY, "  ")
