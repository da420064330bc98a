# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a policy rule."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
priority:
  description:
    - Priority of the rule. Rules are evaluated in ascending order of priority.
    - Several rules may share a priority. A rule is identified by its priority, its selectors (C(from), C(to), C(iif), C(oif),
      C(fwmark), C(uid_range), C(ip_protocol), C(source_port) and C(destination_port)) and its C(action) together.
  type: int
  required: true
family:
  description:
    - Address family. Defaults to the family of the addresses in the other options, or to V(ipv4) if they contain none.
  type: str
  choices: [ipv4, ipv6]
netns:
  description:
    - Network namespace of the rule, as a name in C(/run/netns) or an absolute path.
    - Defaults to the namespace in which the module runs.
  type: str
state:
  description:
    - Whether the rule should exist.
    - >-
      V(present) creates the rule. If this collection created a rule with the same identity earlier, its C(table) and
      C(suppress_prefix_length) are changed. Other rules with the same priority stay. If another program created a rule with the same
      identity and another table, the module fails.
    - >-
      V(absent) deletes the rule with this priority and exactly these selectors. If no selector is set, it deletes the only rule with
      this priority, and fails if there are several. C(action), C(table) and C(suppress_prefix_length) narrow the choice.
    - Rules that the kernel created are neither changed nor deleted.
  type: str
  choices: [present, absent]
  default: present
from:
  description:
    - Source address or network to match.
  type: str
to:
  description:
    - Destination address or network to match.
  type: str
iif:
  description:
    - Incoming link to match. The link need not exist.
  type: str
oif:
  description:
    - Outgoing link to match, for packets from sockets that are bound to the link. The link need not exist.
  type: str
fwmark:
  description:
    - Firewall mark to match, with or without a mask, such as V(0x1) or V(0x1/0xff).
  type: str
uid_range:
  description:
    - User ID of the sender to match, or a range of user IDs such as V(1000-1999).
  type: str
ip_protocol:
  description:
    - IP protocol to match, as a number or as a name such as V(tcp).
  type: str
source_port:
  description:
    - Source port or range of source ports to match.
  type: str
destination_port:
  description:
    - Destination port or range of destination ports to match.
  type: str
action:
  description:
    - Action for packets that match all selectors. Defaults to V(lookup).
  type: str
  choices: [lookup, nop, blackhole, unreachable, prohibit]
table:
  description:
    - Routing table to look up, as a number or as a name from C(/etc/iproute2/rt_tables).
  type: str
suppress_prefix_length:
  description:
    - Routes of the table with a prefix length of this value or less are ignored. V(0) ignores the default route.
  type: int
"""


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
