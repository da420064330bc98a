# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a route."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
destination:
  description:
    - Destination of the route. A network such as V(198.51.100.0/24), a single address, or V(default).
    - Destination, table and metric together identify the route.
  type: str
  required: true
family:
  description:
    - Address family. Defaults to the family of the addresses in the other options, or to V(ipv4) if they contain none.
  type: str
  choices: [ipv4, ipv6]
table:
  description:
    - Routing table, as a number or as a name from C(/etc/iproute2/rt_tables).
  type: str
  default: main
metric:
  description:
    - Metric of the route. Defaults to V(0) for IPv4 and V(1024) for IPv6, as in the kernel.
  type: int
netns:
  description:
    - Network namespace of the route, as a name in C(/run/netns) or an absolute path.
    - Defaults to the namespace in which the module runs.
  type: str
state:
  description:
    - Whether the route should exist.
    - V(absent) deletes the route with this destination, table and metric. It makes no change if there is no such route, link or
      namespace.
    - A route that the kernel, a DHCP client, a router advertisement or a routing daemon created is neither changed nor deleted.
  type: str
  choices: [present, absent]
  default: present
type:
  description:
    - Type of the route. Defaults to V(unicast) for a route with a gateway or a link.
    - >-
      V(blackhole), V(unreachable), V(prohibit) and V(throw) take neither a gateway nor a link. An V(unreachable) default route with a high
      metric keeps packets that match no other route of the table from being looked up in the next table.
  type: str
  choices: [unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw]
gateway:
  description:
    - Address of the router. Must be in a network of the link, or an IPv6 link-local address.
    - An IPv4 route of another type than V(unicast) has no gateway.
  type: str
link:
  description:
    - Output link of the route, in the namespace of the route. If only a gateway is set, the kernel finds the link.
    - If only a link is set, the destination is reached directly on that link.
  type: str
source:
  description:
    - Preferred source address of packets whose sender did not choose one.
  type: str
scope:
  description:
    - Scope of the destination (IPv4). Defaults to V(link) for a route without a gateway, otherwise to V(global).
  type: str
  choices: [global, site, link, host, nowhere]
onlink:
  description:
    - Whether the gateway is treated as reachable on the link although it is in no network of the link.
  type: bool
mtu:
  description:
    - Maximum packet size along the route, in bytes.
  type: int
"""


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
