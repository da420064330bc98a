#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: address_probe
short_description: Ask who answers for an IP address
version_added: 1.0.0
description:
  - Asks on a link who has an IP address, and returns the MAC addresses that answer. For IPv4 it sends ARP probes, for IPv6 neighbour solicitations.
  - >-
    Nobody learns a wrong address from it, for an ARP probe has no sender's address. Nothing is configured on the link, which needs no address
    of its own.
  - >-
    The host itself does not answer, nor do the links on it, unless the switch reflects their frames. So before an old host's MAC address and
    IP address move to a macvlan, and after it, the lower device is the right link to ask whether the old host is really off: the macvlan does
    not hear its twin.
  - >-
    It changes nothing, and sends its frames in check mode as well. It takes O(count) times O(timeout) seconds, for there may be a second
    one who answers.
  - It needs the rights of root (C(CAP_NET_RAW)).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  link:
    description:
      - The link to ask on. It has to be an Ethernet link that is up and has a carrier.
    type: str
    required: true
  addresses:
    description:
      - The IP addresses to ask for, of IPv4, IPv6 or both. A prefix length behind an address is taken no notice of.
    type: list
    elements: str
    required: true
  netns:
    description:
      - Network namespace that the link is in, by its name in C(/run/netns) or by an absolute path.
      - Without it, the namespace that the module runs in.
    type: str
  timeout:
    description:
      - How many seconds to wait for answers each time, with decimals.
    type: float
    default: 1.0
  count:
    description:
      - How many times to ask.
    type: int
    default: 3
seealso:
  - module: patchbay.netdev.link_info
  - module: patchbay.netdev.macvlan
"""

EXAMPLES = r"""
- name: Look whether the old host is off
  patchbay.netdev.address_probe:
    link: eth0
    addresses: [192.0.2.25]
  register: probe

- name: Stop when it is not
  ansible.builtin.assert:
    that: probe.answers | map(attribute='macs') | flatten | length == 0
    fail_msg: "Switch the old host off first: {{ probe.answers }}"

- name: Find two hosts with one address
  patchbay.netdev.address_probe:
    link: eth0.30
    addresses: [198.51.100.7, "2001:db8::7"]
  register: probe
  failed_when: probe.answers | map(attribute='macs') | map('length') | max > 1
"""

RETURN = r"""
answers:
  description: One entry for each address, in the order of O(addresses).
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address, without a prefix length.
      type: str
      returned: always
    macs:
      description: The MAC addresses that answered for it, sorted. It is empty when nobody did. With more than one, several hosts have the address.
      type: list
      elements: str
      returned: always
  sample:
    - {address: 192.0.2.25, macs: ["00:16:3e:11:11:01"]}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import PROBE_ARGUMENTS
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_probe


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=PROBE_ARGUMENTS, supports_check_mode=True)
    run_probe(module)


if __name__ == "__main__":
    main()
