# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a route."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
destination:
  description:
    - Network that the route leads to, such as C(198.51.100.0/24), one address, or C(default).
    - Together with table and metric it is what makes the route itself.
  type: str
  required: true
family:
  description:
    - Address family. Without it, the one of the addresses that are written, or IPv4 when there is none.
  type: str
  choices: [ipv4, ipv6]
table:
  description:
    - Routing table, by number or by a name from C(/etc/iproute2/rt_tables).
  type: str
  default: main
metric:
  description:
    - Metric. Without it, 0 for IPv4 and 1024 for IPv6, as the kernel has it.
  type: int
netns:
  description:
    - Network namespace that the route is in, by its name in C(/run/netns) or by an absolute path.
    - Without it, the namespace that the module runs in.
  type: str
state:
  description:
    - Whether the route is there.
    - C(absent) deletes what has this destination, table and metric. What is not there is fine then.
    - A route that the kernel, a DHCP client, a router advertisement or a routing daemon made is neither changed nor deleted.
  type: str
  choices: [present, absent]
  default: present
type:
  description:
    - Type of the route. A route by a gateway or a link is C(unicast) when nothing is written.
    - C(blackhole), C(unreachable), C(prohibit) and C(throw) go nowhere. C(unreachable) at the end of a table keeps packets from
      falling through to the next one.
  type: str
  choices: [unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw]
gateway:
  description:
    - Address of the router. It has to be in a network of the link, or a link-local IPv6 address.
  type: str
link:
  description:
    - Link that the route leaves by, in the namespace of the route. With a gateway alone, the kernel finds it.
    - A link without a gateway means that the destination is on the link itself.
  type: str
source:
  description:
    - Address that packets are sent from when the sender has not chosen one.
  type: str
scope:
  description:
    - How far the destination is (IPv4). Without it, C(link) for a route without a gateway and C(global) for others.
  type: str
  choices: [global, site, link, host, nowhere]
onlink:
  description:
    - Whether the gateway is on the link although no address of the link says so.
  type: bool
mtu:
  description:
    - Largest packet by this route, in bytes.
  type: int
"""


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
