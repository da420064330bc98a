# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every kind of link. The texts refer to no other option: topology uses them too, one level deeper."""

from __future__ import annotations

import re
from textwrap import indent

from ansible_collections.patchbay.netdev.plugins.doc_fragments import route


def _without(options: str, *names: str) -> str:
    """The texts of all options but these."""
    blocks = re.split(r"(?m)^(?=\w)", options)
    return "".join(block for block in blocks if block.partition(":")[0] not in names)


IDENTITY = r"""
name:
  description:
    - Name of the link, at most 15 bytes.
    - Must be the primary name of the link. Alternative names are not accepted.
  type: str
  required: true
netns:
  description:
    - Network namespace of the link, as a name in C(/run/netns) or an absolute path.
    - Defaults to the namespace in which the module runs.
    - A link is created directly in its namespace and never moved to another one.
  type: str
"""

EXISTENCE = r"""
state:
  description:
    - Whether the link should exist.
    - C(absent) deletes the link. It makes no change if the link or its namespace does not exist, and fails if the link is of another
      kind.
  type: str
  choices: [present, absent]
  default: present
recreate:
  description:
    - Whether the link may be deleted and created again for a change that the kernel does not support on an existing link.
    - C(never) fails and names the change.
    - >-
      C(when_required) recreates the link. Alternative names, alias, controller, sysctls, addresses, routes and permanent neighbors are
      restored where the kernel allows it. A warning names what could not be restored, such as a qdisc or a nexthop object.
  type: str
  choices: [never, when_required]
  default: never
"""

ATTRIBUTES = r"""
address:
  description:
    - Unicast MAC address in any common notation. Quote the value, because YAML may read it as a number.
    - >-
      If omitted, a new link gets a random address, a bridge gets the address of one of its ports or one that udev derives from its name,
      and a VLAN gets the address of its lower device. The filter P(patchbay.netdev.stable_mac#filter) derives an address that is the same
      each time the link is created, on any host.
    - A macvlan or macvtap in mode C(passthru) shares this address with its lower device.
    - An ipvlan always has the address of its lower device. Another address is refused.
  type: str
  aliases: [mac]
mtu:
  description:
    - Maximum transmission unit (MTU) in bytes.
    - On a macvlan or macvtap, the MTU of the lower device is the upper limit, and the default of a new link.
    - An ipvlan takes over each change of the MTU of its lower device.
    - The kernel disables IPv6 on a link with an MTU below 1280.
  type: int
tx_queue_len:
  description:
    - Length of the transmit queue in packets.
  type: int
group:
  description:
    - Group of the link, as a number or as a name from C(/etc/iproute2/group).
  type: str
alias:
  description:
    - Description that the kernel stores with the link, at most 255 bytes. An empty string removes it.
  type: str
controller:
  description:
    - Bridge or VRF that the link is attached to, in the namespace of the link. An empty string detaches the link.
    - >-
      A VRF that gets or loses a link restarts it. The addresses, routes and permanent neighbors that the link loses are restored.
  type: str
  aliases: [master]
address_generation_mode:
  description:
    - How the kernel generates the IPv6 link-local address of the link.
    - C(none) has an effect only if it is set while the link is down. A new link is set up after all its other attributes are set.
  type: str
  choices: [eui64, none, stable_secret, random]
altnames:
  description:
    - Alternative names of the link. Other alternative names, such as those that udev gives a network card, are kept.
    - >-
      An alternative name is accepted wherever a link is referred to: as C(lower_device), C(controller), C(bridge), C(port) and
      C(backup_port), as the C(link) of a route, and as the C(name) of the module M(patchbay.netdev.link).
  type: list
  elements: str
altnames_exact:
  description:
    - Whether alternative names that C(altnames) does not list are removed. An empty list then removes all of them.
  type: bool
  default: false
sysctls:
  description:
    - >-
      Sysctls of the link below C(/proc/sys/net), such as C(ipv4.arp_ignore) or C(ipv6.accept_ra), with integer values. Omitted sysctls
      are not managed.
    - The sysctls of a new link are set before the link is set up.
    - The kernel combines some sysctls with their value for C(all). The module warns if the value for C(all) overrides that of the link.
  type: dict
promiscuous:
  description:
    - Whether the link receives all frames (C(ip link set dev LINK promisc on)).
  type: bool
allmulticast:
  description:
    - Whether the link receives all multicast frames (C(ip link set dev LINK allmulticast on)).
  type: bool
admin_state:
  description:
    - Administrative state of the link. If omitted, a new link stays down.
    - A link that is set down loses its routes, permanent neighbors and IPv6 addresses. A warning names them.
  type: str
  choices: [up, down]
addresses:
  description:
    - Static IP addresses of the link. Other static addresses are removed. An empty list removes all of them.
    - >-
      Addresses from a DHCP client or from router advertisements, the link-local addresses that the kernel or a network manager
      generates, and the addresses of the loopback link are never removed. Other link-local addresses, such as C(fe80::1/64), are
      static addresses. If the link has a DHCP client whose address looks like a static one (udhcpc), no IPv4 address of the link is removed.
    - >-
      Each item is an address with its prefix length, such as C(192.0.2.1/24), or a dictionary with the keys C(ip) (the same value),
      C(peer_ip), C(label) (IPv4), C(metric) (of the connected route), C(noprefixroute) and C(nodad) (IPv6). Omitted keys are not
      managed. An empty C(peer_ip), the name of the link as C(label) and a C(metric) of C(0) remove the respective setting.
    - New addresses are added before other addresses are removed. Packets are sent from the first address of a subnet. Addresses that
      exist keep their order; a warning says so where the list begins with another one.
  type: list
  elements: raw
wait_dad:
  description:
    - >-
      Seconds to wait for duplicate address detection of the IPv6 addresses that the task adds. If another host uses one of the addresses,
      the task fails and its changes are rolled back.
    - An address that was found to be a duplicate earlier is tried again.
  type: float
announce:
  description:
    - >-
      Whether to announce the IP addresses of the link with its MAC address to the neighbors when addresses are added, when the link is set
      up, and when its MAC address changes. The module sends a gratuitous ARP request or an unsolicited neighbor advertisement for each
      address. For IPv6 addresses it waits for duplicate address detection first.
  type: bool
dhcp4:
  description:
    - >-
      DHCP client for IPv4 that serves the link. C(true) is short for C({enabled: true}), C(false) for C({enabled: false}). It is a
      program from a package of the host, or systemd-networkd. On a host with systemd, the unit C(patchbay-dhcp@LINK.service)
      restarts the program if it ends.
    - >-
      A lease adds its address only, with the lifetime that the server grants and without a route. The main table and the host name are
      unchanged, and the resolver is too unless the task requests otherwise. With C(source_routing), the routes of the lease are added to
      the table of the link, together with a rule for packets from the leased address. If the lease changes, the address, the routes and
      the rule change too. If the lease expires, they are removed, and the client continues to request a lease.
    - The client runs until the next boot, or also afterwards if the link is saved for the next boot.
    - >-
      If omitted, an existing client is unchanged. The client ends when its link is deleted, and is started again when the link is
      recreated.
    - Managed as a whole. Omitted suboptions take their defaults.
  type: dict
  suboptions:
    enabled:
      description:
        - Whether a client should run. C(false) stops it and removes what its lease added. The lease is not released to the server.
      type: bool
      default: true
    client_id:
      description:
        - Client identifier (option 61) that the client sends. Many servers identify hosts by it.
        - >-
          C(none) sends no identifier, so that the server identifies the client by its MAC address. With most servers, this is right for the
          MAC address of an old host, regardless of the identifier that the old host sent.
        - C(mac) sends the MAC address of the link.
        - C(duid) sends an identifier in the format of RFC 4361, derived from C(/etc/machine-id) and the MAC address of the link.
        - >-
          Any other value is the identifier as bytes in hexadecimal notation with colons, such as C(01:52:54:00:12:34:56), for example the
          identifier of an old host.
      type: str
      default: none
    hostname:
      description:
        - Host name (option 12) that the client sends. If omitted, the client sends none.
      type: str
    vendor_class:
      description:
        - Vendor class identifier (option 60) that the client sends. If omitted, the client sends none.
      type: str
    use_main_table:
      description:
        - >-
          Whether the routes of the lease are added to the main table, for example in a network namespace of its own. By default, they are
          added to the table of C(source_routing). Without either, the lease adds the address only. Mutually exclusive with
          C(source_routing).
      type: bool
      default: false
    metric:
      description:
        - Metric of the routes from the lease.
      type: int
    use_routes:
      description:
        - >-
          Whether the routers and the classless static routes of the lease (options 3 and 121) are added to the routing table. With
          C(false), only the route to the network of the address is added.
      type: bool
      default: true
    client:
      description:
        - Program that requests the lease. The result names the program in use.
        - >-
          If omitted, the program that already serves the link is kept if it supports the other suboptions. A new client uses the first
          program, in the order of the choices, that the host has and that supports them.
        - >-
          C(udhcpc) (Debian package C(udhcpc)) sends nothing that is not configured, leaves IPv6 to the kernel, and sends all its packets
          through the link. It assumes that a lease lasts at least two minutes, so that shorter leases expire before udhcpc renews them.
        - >-
          C(networkd) is systemd-networkd and requires no other package. It serves links in the namespace of the host that no other
          configuration assigns to networkd. It always sends a client identifier and always adds a route to the network of the lease. It
          therefore requires C(source_routing) or C(use_main_table), and for C(client_id) C(mac), C(duid) or bytes that begin with C(ff)
          (RFC 4361 with a DUID of type 1 to 4). If the identifier changes, many servers assign another address. networkd supports neither a
          C(hostname) with dots nor a
          C(vendor_class) with a quotation mark or a backslash. It manages the addresses and routes of the link, and also those from router
          advertisements if the link accepted them, with the metric 2048 for their default route. The lower device is unchanged. If a server
          refuses to renew a lease, networkd learns of the refusal after seven eighths of the lease time and only then requests another
          lease.
        - >-
          The unit C(patchbay-leases.service) adds the rule for a lease of networkd, and changes the rule when the lease changes. If the lease
          is lost, the rule is kept, so that no packet from the address leaves through another link.
        - >-
          C(dhclient) (Debian package C(isc-dhcp-client)) and C(dhcpcd) (C(dhcpcd-base)) send renewals along the route to the server in the
          main table, and thus with the MAC address and the IP address of another link. A switch that filters by MAC address drops these
          packets. If no server replies until late in the lease, the clients send a broadcast through the link itself, and some servers
          (Kea) reply to dhclient only then. The module warns about this unless the link is in another network namespace.
        - >-
          Each program has its own configuration below C(/run/patchbay/dhcp) and runs no scripts of its package.
      type: str
      choices: [udhcpc, networkd, dhclient, dhcpcd]
    use_dns:
      description:
        - >-
          Whether the DNS servers and the domain of the lease are configured in the resolver. systemd-resolved uses the servers for this link
          and queries them through it. Without systemd-resolved, C(resolvconf) is used. For a link in a named network namespace, the file
          C(/etc/netns/NAME/resolv.conf) is written, which C(ip netns exec) uses. The module fails if the host has none of these, or with
          C(client=networkd).
        - >-
          The servers are removed from the resolver when the lease or the client ends. After a reboot, the file of a namespace is kept until
          the next lease. If the link is not restored, the file must be deleted manually.
      type: bool
      default: false
    wait:
      description:
        - >-
          Seconds to wait for the lease, which the module then returns. If no lease arrives in time, the task fails and its changes are
          rolled back. If omitted, the task does not wait.
      type: float
"""

SOURCE_ROUTING = (
    r"""
source_routing:
  description:
    - >-
      Routing table of the link, for static addresses and leases alike. Packets from an address of the link, and packets from sockets that
      are bound to the link, use this table and leave through the link with its MAC address.
    - >-
      The table contains the networks of the addresses, the default routes, the further routes, and last an unreachable default route with
      the metric 4278198272 for each address family in use. While the link is down, packets are therefore rejected instead of leaving
      through another link. Policy rules look up the table for the link and for each of its addresses.
    - >-
      The table belongs to the link. Routes that this collection or a network manager added to it and that are not listed are deleted. Routes
      and rules of other programs, rules with other selectors and rules that look up other tables stay.
    - >-
      If omitted, existing source routing is unchanged. C({}) removes it. It is also removed when the link is deleted. Managed as a whole.
      Omitted suboptions take their defaults.
  type: dict
  suboptions:
    table:
      description:
        - Routing table, as a number or as a name from C(/etc/iproute2/rt_tables). No other link may use it.
        - Required unless source routing is removed.
      type: str
    rule_priority:
      description:
        - Priority of the policy rules. Other links may use the same priority.
        - Required unless source routing is removed.
      type: int
    gateway:
      description:
        - Address of the router for the default route, or a list with one address per family.
        - If omitted, the router of a DHCP lease is used.
      type: list
      elements: str
    routes:
      description:
        - Further routes of the table. They replace derived routes with the same destination.
      type: list
      elements: dict
      suboptions:
"""
    + indent(_without(route.OPTIONS, "table", "link", "netns", "state"), "        ")
    + r"""
    connected_in_main:
      description:
        - >-
          Whether the main table also has the routes to the networks of the addresses. By default, the addresses get C(noprefixroute), so that
          other packets of the host do not leave through the link.
      type: bool
      default: false
"""
)

AT_CREATION = r"""
num_tx_queues:
  description:
    - Number of transmit queues. Can be set only when the link is created.
  type: int
num_rx_queues:
  description:
    - Number of receive queues. Can be set only when the link is created.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module: all of them, or those of an existing link."""

    DOCUMENTATION: str = "options:" + indent(IDENTITY + EXISTENCE + ATTRIBUTES + SOURCE_ROUTING + AT_CREATION, "  ")
    EXISTING: str = "options:" + indent(IDENTITY + ATTRIBUTES + SOURCE_ROUTING, "  ")
