# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of links that sit on a lower device, and those that macvlan and macvtap have besides. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

BELOW = r"""
lower_device:
  description:
    - Link that this one sits on. It is needed to create the link.
    - For a macvlan or macvtap, one that is itself a macvlan or macvtap stands for the device below it, as the kernel has it.
    - Another lower device needs the link to be created again.
  type: str
  aliases: [parent]
lower_device_netns:
  description:
    - Network namespace that the lower device is in. Without it, the one that the module runs in.
  type: str
lower_device_state:
  description:
    - What to do about a lower device that is down, on which nothing passes.
    - C(up) brings it up along with the link, C(require) fails. Without either a warning says so.
  type: str
  choices: [up, require]
"""

MACVLAN = r"""
mode:
  description:
    - What passes between links on the same lower device. The kernel makes a new link C(vepa) when this is not written.
    - C(bridge) passes frames between the links of this mode directly.
    - C(vepa) sends all frames to the switch, which has to reflect those for other links on the same lower device.
    - C(private) is C(vepa) without broadcasts and multicasts between them. It is no wall against a switch that reflects.
    - C(source) takes only frames from listed MAC addresses.
    - >-
      C(passthru) takes the lower device over. It has to be alone on it, has its MAC address, and as long as it is down, the
      host receives nothing through the lower device. Entering or leaving this mode needs the link to be created again.
  type: str
  choices: [private, vepa, bridge, passthru, source]
allow_wireless:
  description:
    - Whether the lower device may be wireless. The kernel makes the link, but most access points drop what it sends.
  type: bool
  default: false
nopromisc:
  description:
    - In mode C(passthru), whether the lower device is left out of promiscuous mode.
  type: bool
nodst:
  description:
    - In mode C(source), whether frames from listed senders are taken away from the lower device and all other links on it.
  type: bool
source_addresses:
  description:
    - In mode C(source), the MAC addresses of senders that are taken, at most 1000. The list is managed whole.
  type: list
  elements: str
bc_queue_len:
  description:
    - >-
      Length in packets of the queue for broadcasts and multicasts that this link asks for. The lower device uses the largest
      one asked for. Linux 5.11.
  type: int
bc_cutoff:
  description:
    - >-
      Least number of receivers from which a multicast goes through the queue. 0 queues all, a negative number none.
      It belongs to the lower device, so all links on it have the same. Linux 6.4.
  type: int
"""

OPTIONS = BELOW + MACVLAN


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
    BELOW_ONLY: str = "options:" + indent(BELOW, "  ")
