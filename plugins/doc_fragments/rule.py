# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a policy rule."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
priority:
  description:
    - Place of the rule among the others. The smallest is asked first.
    - It is what makes the rule itself, so each family has one rule of a priority.
  type: int
  required: true
family:
  description:
    - Address family. Without it, the one of the addresses that are written, or IPv4 when there is none.
  type: str
  choices: [ipv4, ipv6]
netns:
  description:
    - Network namespace that the rule is in, by its name in C(/run/netns) or by an absolute path.
    - Without it, the namespace that the module runs in.
  type: str
state:
  description:
    - Whether the rule is there.
    - >-
      C(present) leaves one rule of this priority, which has just the parts that are written. C(absent) deletes all of this
      priority. The kernel's own are neither changed nor deleted.
  type: str
  choices: [present, absent]
  default: present
from:
  description:
    - Network or address that packets come from.
  type: str
to:
  description:
    - Network or address that packets go to.
  type: str
iif:
  description:
    - Link that packets come in by. It need not be there.
  type: str
oif:
  description:
    - Link that the sender has bound its socket to. It need not be there.
  type: str
fwmark:
  description:
    - Firewall mark of packets, with a mask or without, such as C(0x1) or C(0x1/0xff).
  type: str
uid_range:
  description:
    - User ids of the sender, one or a range such as C(1000-1999).
  type: str
ip_protocol:
  description:
    - IP protocol, by number or name, such as C(tcp).
  type: str
source_port:
  description:
    - Source port, one or a range.
  type: str
destination_port:
  description:
    - Destination port, one or a range.
  type: str
action:
  description:
    - What becomes of a packet that has all these properties. Without it, C(lookup).
  type: str
  choices: [lookup, nop, blackhole, unreachable, prohibit]
table:
  description:
    - Routing table to look up, by number or by a name from C(/etc/iproute2/rt_tables).
  type: str
suppress_prefix_length:
  description:
    - Routes of the table with a prefix of this length or a shorter one do not count. 0 leaves its default route out.
  type: int
"""


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
