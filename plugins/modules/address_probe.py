#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: address_probe
short_description: Detect which hosts use an IP address
version_added: 1.0.0
description:
  - Sends ARP probes (IPv4) or neighbor solicitations (IPv6) on a link and returns the MAC addresses that reply.
  - >-
    The probes do not change the neighbor tables of other hosts, because an ARP probe contains no IP address of the sender. The link is not
    configured and needs no IP address of its own.
  - >-
    The host itself and the links on the probed link do not reply, unless the switch reflects their frames. To verify that an old host is
    offline, before or after its MAC address and IP address are moved to a macvlan, probe on the lower device. The macvlan itself does not
    receive the replies of a host with its own MAC address.
  - >-
    The module makes no changes, and sends its probes in check mode too. It takes O(count) times O(timeout) seconds, because more than one
    host may reply.
  - Requires root privileges (C(CAP_NET_RAW)).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  link:
    description:
      - Link to send the probes on. Must be an Ethernet link that is up and has a carrier.
    type: str
    required: true
  addresses:
    description:
      - IPv4 and IPv6 addresses to probe. A prefix length is ignored.
    type: list
    elements: str
    required: true
  netns:
    description:
      - Network namespace of the link, as a name in C(/run/netns) or an absolute path.
      - Defaults to the namespace in which the module runs.
    type: str
  timeout:
    description:
      - Seconds to wait for replies after each probe, with decimals.
    type: float
    default: 1.0
  count:
    description:
      - Number of probes for each address.
    type: int
    default: 3
seealso:
  - module: patchbay.netdev.link_info
  - module: patchbay.netdev.macvlan
"""

EXAMPLES = r"""
- name: Probe the address of the old host
  patchbay.netdev.address_probe:
    link: eth0
    addresses: [192.0.2.25]
  register: probe

- name: Verify that the old host is offline
  ansible.builtin.assert:
    that: probe.answers | map(attribute='macs') | flatten | length == 0
    fail_msg: "Shut down the old host first: {{ probe.answers }}"

- name: Detect duplicate addresses
  patchbay.netdev.address_probe:
    link: eth0.30
    addresses: [198.51.100.7, "2001:db8::7"]
  register: probe
  failed_when: probe.answers | map(attribute='macs') | map('length') | max > 1
"""

RETURN = r"""
answers:
  description: One entry per address, in the order of O(addresses).
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address, without a prefix length.
      type: str
      returned: always
    macs:
      description: MAC addresses that replied, sorted. Empty if no host replied. Several MAC addresses mean that several hosts use the address.
      type: list
      elements: str
      returned: always
  sample:
    - {address: 192.0.2.25, macs: ["00:16:3e:11:11:01"]}
"""

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_probe
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import PROBE_ARGUMENTS


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=PROBE_ARGUMENTS, supports_check_mode=True)
    run_probe(module)


if __name__ == "__main__":
    main()
