# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of links on a lower device, and those of macvlans and macvtaps. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

BELOW = r"""
lower_device:
  description:
    - Link that this link is created on. Required to create the link.
    - >-
      If this names a macvlan or macvtap, the kernel creates a macvlan or macvtap on the lower device of that link instead. The same holds
      for an ipvlan on an ipvlan.
    - Another lower device requires the link to be recreated.
  type: str
  aliases: [parent]
lower_device_netns:
  description:
    - Network namespace of the lower device. Defaults to the namespace in which the module runs.
  type: str
lower_device_state:
  description:
    - What to do if the lower device is down, so that no frames pass.
    - C(up) sets the lower device up. C(require) fails. If omitted, the module warns.
  type: str
  choices: [up, require]
"""

MACVLAN = r"""
mode:
  description:
    - How frames pass between links on the same lower device. If omitted, the kernel creates a new link in mode C(vepa).
    - C(bridge) forwards frames between links in this mode directly.
    - C(vepa) sends all frames to the switch, which must reflect those for other links on the same lower device.
    - >-
      C(private) is C(vepa) without broadcasts and multicasts between the links. It does not isolate the links if the switch reflects
      frames.
    - C(source) accepts only frames from the listed MAC addresses.
    - >-
      C(passthru) gives the link exclusive use of the lower device, whose MAC address it shares. While the link is down, the host receives
      no frames through the lower device. A change to or from this mode requires the link to be recreated.
  type: str
  choices: [private, vepa, bridge, passthru, source]
allow_wireless:
  description:
    - >-
      Whether the lower device may be wireless. The kernel creates the link, but most access points drop the frames that it sends.
  type: bool
  default: false
nopromisc:
  description:
    - In mode C(passthru), whether the lower device stays out of promiscuous mode.
  type: bool
nodst:
  description:
    - >-
      In mode C(source), whether frames from the listed senders are delivered to this link only, and not to the lower device and the other
      links on it.
  type: bool
source_addresses:
  description:
    - >-
      In mode C(source), the MAC addresses of the accepted senders, at most 1000. Managed as a whole: other addresses are removed.
  type: list
  elements: str
bc_queue_len:
  description:
    - >-
      Length in packets of the queue for broadcasts and multicasts that this link requests. The lower device uses the largest value that
      one of its links requests. Requires Linux 5.11.
  type: int
bc_cutoff:
  description:
    - >-
      Number of receivers from which on a multicast passes through the queue. C(0) queues all multicasts, a negative number none.
      The value belongs to the lower device, so all links on it share it. Requires Linux 6.4.
  type: int
"""

OPTIONS = BELOW + MACVLAN


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
    BELOW_ONLY: str = "options:" + indent(BELOW, "  ")
