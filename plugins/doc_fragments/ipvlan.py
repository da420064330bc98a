# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of an ipvlan. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
mode:
  description:
    - How packets pass between the links on the same lower device, and between them and the network. Required to create the link.
    - C(l2) delivers frames, broadcasts and multicasts included. The links use ARP, IPv6 neighbor discovery and DHCP.
    - >-
      C(l3) routes packets in the network namespace of the lower device. The links neither send nor receive broadcasts and multicasts, so
      the network needs routes to their addresses.
    - C(l3s) is C(l3) with the netfilter hooks of the namespace of the lower device. Requires the kernel option C(CONFIG_IPVLAN_L3S).
    - The mode belongs to the lower device, so all links on it share it.
  type: str
  choices: [l2, l3, l3s]
flags:
  description:
    - Whether links on the same lower device exchange packets directly.
    - C(bridge) forwards packets between them. This is the default of the kernel.
    - C(private) does not forward packets between them.
    - C(vepa) sends all packets to the switch, which must reflect those for other links on the same lower device.
    - The flags belong to the lower device, so all links on it share them. Requires Linux 4.15.
  type: str
  choices: [bridge, private, vepa]
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
