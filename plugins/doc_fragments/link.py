# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that every kind of link has. The texts name no other option: topology uses them too, one level deeper."""

from __future__ import annotations

from textwrap import indent

IDENTITY = r"""
name:
  description:
    - Name of the link, at most 15 bytes.
    - It must be the link's own name, not an alternative one.
  type: str
  required: true
netns:
  description:
    - Network namespace that the link is in, by its name in C(/run/netns) or by an absolute path.
    - Without it, the namespace that the module runs in.
    - A link is created straight in its namespace. It is never moved.
  type: str
"""

EXISTENCE = r"""
state:
  description:
    - Whether the link is there.
    - C(absent) deletes it. A link that is not there is fine then, and one of another kind is an error.
  type: str
  choices: [present, absent]
  default: present
recreate:
  description:
    - Whether the link may be deleted and created again for a change that the kernel does not make on a living link.
    - C(never) fails with a sentence that names the change.
    - >-
      C(when_required) does it. Alternative names, alias, controller, per-link settings, addresses and routes are put back
      where the kernel lets it, and a warning names what could not be kept.
  type: str
  choices: [never, when_required]
  default: never
"""

ATTRIBUTES = r"""
address:
  description:
    - MAC address, in any usual notation, unicast. Quote it, or YAML may read it as a number.
    - Without it, a new link has a random one. For one that is the same wherever and whenever the link is made, see the filter
      P(patchbay.netdev.stable_mac#filter). A bridge has that of one of its ports, or udev makes one from its name, and a VLAN
      has that of its lower device.
    - On a macvlan or macvtap in mode C(passthru) it is the MAC address of the lower device as well.
  type: str
  aliases: [mac]
mtu:
  description:
    - Largest packet in bytes.
    - On a macvlan or macvtap it is bounded by that of the lower device, from which a new link takes it over.
    - Below 1280 the link has no IPv6.
  type: int
tx_queue_len:
  description:
    - Length of the transmit queue in packets.
  type: int
group:
  description:
    - Group of the link, as a number or a name from C(/etc/iproute2/group).
  type: str
alias:
  description:
    - Free text that is shown with the link, at most 255 bytes. An empty one removes it.
  type: str
controller:
  description:
    - Link that this one is attached to, which is a bridge or a VRF in the same namespace. An empty name detaches it.
  type: str
  aliases: [master]
address_generation_mode:
  description:
    - How the link makes its IPv6 link-local address.
    - C(none) is in time only while the link is down, or for a new link, which comes up last.
  type: str
  choices: [eui64, none, stable_secret, random]
altnames:
  description:
    - The alternative names of the link. Others are removed, and an empty list removes all.
  type: list
  elements: str
sysctls:
  description:
    - >-
      Per-link settings of C(/proc/sys/net), such as C(ipv4.arp_ignore) or C(ipv6.accept_ra), with whole numbers.
      Only the written ones are managed.
    - A new link gets them before it comes up.
    - Some hold only together with the setting of C(all). A warning says so when that one overrides the link's.
  type: dict
promiscuous:
  description:
    - Whether the link takes every frame (C(ip link set dev LINK promisc on)).
  type: bool
allmulticast:
  description:
    - Whether the link takes every multicast frame (C(ip link set dev LINK allmulticast on)).
  type: bool
admin_state:
  description:
    - Whether the link is configured to be up. A new link is down when this is not written.
    - A link that goes down loses its routes and its IPv6 addresses.
  type: str
  choices: [up, down]
addresses:
  description:
    - The static IP addresses of the link. Other static ones are removed, and an empty list removes all.
    - >-
      Addresses of a DHCP client, of router advertisements, link-local ones and those of the loopback are never removed. Where a
      client runs whose address cannot be told from a static one (udhcpc), no IPv4 address of the link is removed.
    - >-
      An item is an address with its prefix length, such as C(192.0.2.1/24), or a dictionary with C(ip) (the same),
      C(peer_ip), C(label) (IPv4), C(metric) (of the connected route), C(noprefixroute) and C(nodad) (IPv6). What is not written
      is not managed. An empty C(peer_ip), the name of the link as C(label) and a C(metric) of 0 take that away.
    - New ones are added before others are removed. The first of a subnet is the one that packets are sent from.
  type: list
  elements: raw
wait_dad:
  description:
    - >-
      Seconds to wait until duplicate address detection has passed the IPv6 addresses that the task brings. One that another
      host has is an error then, and all that the task had done is undone.
    - An address that was found to be a duplicate earlier is tried again.
  type: float
announce:
  description:
    - >-
      Whether to tell the neighbours which MAC address has the addresses now, when addresses are new, when the link comes up, and
      when its MAC address changes. A gratuitous ARP request and an unsolicited neighbour advertisement do it. IPv6 addresses are
      waited for as with duplicate address detection.
  type: bool
dhcp4:
  description:
    - >-
      A DHCP client that serves the link, for IPv4. The host has it as a package or as systemd-networkd. Where systemd runs, a
      unit C(patchbay-dhcp@LINK.service) keeps a program alive.
    - >-
      What a lease brings is the address alone, with the lifetime that the server gave it and without a route. Nothing of it
      reaches the main table or the host name, nor the resolver unless that is written. With a table of its own, the routes of
      the lease go there, with a rule for packets from the address, and an unreachable default behind them, so that no packet from
      the address leaves by another link. A lease that changes moves address, routes and rule. When it ends, they go, and the
      client goes on asking.
    - The client runs until the next boot, and after it where the link is declared for that.
    - A client that is not written about is left as it is. It ends when its link is deleted, and comes again when that is
      created again.
    - It is one thing. What is not written of it has its default.
  type: dict
  suboptions:
    enabled:
      description:
        - Whether there is a client. C(false) ends it, and takes away what its lease brought. The lease is not given back.
      type: bool
      default: true
    client_id:
      description:
        - What the client says that it is (option 61), by which many servers know a host.
        - >-
          C(none) says nothing, so that the MAC address counts. It is right for the MAC address of an old host, whatever that one
          said, with most servers.
        - C(mac) says the MAC address of the link.
        - >-
          C(duid) says an identifier that is made of the machine's (C(/etc/machine-id)) and of the MAC address of the link, in the
          form of RFC 4361.
        - Or the bytes of an identifier with colons, such as C(01:52:54:00:12:34:56), which is that of another host.
      type: str
      default: none
    hostname:
      description:
        - Host name that the client tells the server (option 12). Without it, none.
      type: str
    vendor_class:
      description:
        - Vendor class that the client tells the server (option 60). Without it, none.
      type: str
    table:
      description:
        - Routing table for the routes of the lease, as a number or a name from C(/etc/iproute2/rt_tables). Without it, none of
          them is used. The main table has to be written, as C(main).
        - It is of this link alone.
      type: str
    rule_priority:
      description:
        - Priority of the policy rule by which packets from the address of the lease look into the table. It is needed with every
          table but the main one.
      type: int
    metric:
      description:
        - Metric of the routes of the lease.
      type: int
    use_routes:
      description:
        - >-
          Whether the table gets what the server says of routers and classless routes (options 3 and 121), as it does unless
          C(false) is written, or only the network of the address.
      type: bool
    client:
      description:
        - The program that asks for the lease. Which one really serves is in the result.
        - >-
          When it is not written, what serves the link stays as long as it can do what is asked. For a new client it is the first
          one, in the order of the choices, that the host has and that can do what is asked.
        - >-
          C(udhcpc) (Debian's package of that name) says no more than it is told, leaves IPv6 to the kernel, and all
          that it sends leaves by the link. It takes every lease to last two minutes at least, so that shorter
          ones end before it renews them.
        - >-
          C(networkd) is systemd-networkd, and needs no package. It serves links of the host's own namespace, which nothing else
          has it manage. It always says a client identifier and always makes a route to the network of the lease. So it needs
          C(table), and C(client_id) as C(mac), C(duid) or bytes that begin with C(ff) (RFC 4361 with a DUID of the
          types 1 to 4): with another identifier than before, many servers give another address. It cannot say a C(hostname) with
          dots, nor a C(vendor_class) with a quotation mark or a backslash. Address and routes are its work,
          those of router advertisements too, where the link took them: their default route gets the metric 2048. The lower device
          is not touched. When a server refuses to go on with a lease, networkd hears of it at seven eighths of the time of the
          lease, and asks for another one then.
        - >-
          A unit C(patchbay-leases.service) makes the rule of a lease of networkd and the unreachable default, and moves them with
          the lease. They stay when the lease is lost, so that no packet from its address leaves by another link meanwhile.
        - >-
          C(dhclient) (C(isc-dhcp-client)) and C(dhcpcd) (C(dhcpcd-base)) send renewals as the main table leads to the server, so
          with the MAC address and the IP address of another link, which a switch that goes by MAC addresses drops. They ask by a
          broadcast of the link's own when nobody answers until late in the lease, and some servers (Kea) answer dhclient only then.
          A warning says so, but for a link that has a network namespace of its own.
        - >-
          Each has a configuration of its own below C(/run/patchbay/dhcp), and runs nothing of the scripts that its package brings.
      type: str
      choices: [udhcpc, networkd, dhclient, dhcpcd]
    use_dns:
      description:
        - >-
          Whether the resolver is told of the DNS servers and the domain of the lease. Those go to systemd-resolved (as those of the
          link, which asks them by the link itself), where there is none to C(resolvconf), and for a link in a namespace into
          C(/etc/netns/NAME/resolv.conf), as C(ip netns exec) uses it. Where there is none of them, it is refused,
          and so it is with C(client=networkd).
        - >-
          What was told is taken back when the lease or the client ends. After a reboot the file of a namespace stays as it was
          until the next lease, or, for a link that does not come back, until somebody deletes it.
      type: bool
      default: false
    wait:
      description:
        - Seconds to wait for the lease, which then stands in the result. When there is none by then, the task fails, and all that
          it had done is undone. Without it, the task goes on.
      type: float
"""

AT_CREATION = r"""
num_tx_queues:
  description:
    - Number of transmit queues. The kernel takes it only at creation.
  type: int
num_rx_queues:
  description:
    - Number of receive queues. The kernel takes it only at creation.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module: all of them, or those for a link that exists."""

    DOCUMENTATION: str = "options:" + indent(IDENTITY + EXISTENCE + ATTRIBUTES + AT_CREATION, "  ")
    EXISTING: str = "options:" + indent(IDENTITY + ATTRIBUTES, "  ")
