#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: macvlan
short_description: Manage a macvlan link
version_added: 1.0.0
description:
  - Creates, changes and deletes a macvlan, which is a link on an Ethernet device, with its own MAC address.
  - To manage many links in one task, use M(patchbay.netdev.topology).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.on_lower_device
seealso:
  - module: patchbay.netdev.topology
  - module: patchbay.netdev.link_info
  - plugin: patchbay.netdev.stable_mac
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Take over the MAC address of an old host
  patchbay.netdev.macvlan:
    name: old-mail
    lower_device: eth0
    mode: bridge
    address: "00:16:3e:11:11:01"
    sysctls:
      ipv4.arp_ignore: 1
      ipv4.arp_announce: 2
    admin_state: up

- name: Create a macvlan with the addresses of an old host, from which packets leave with its MAC address
  patchbay.netdev.macvlan:
    name: old-print
    lower_device: eth0
    mode: bridge
    address: "00:16:3e:11:11:03"
    addresses: [192.0.2.103/24]
    admin_state: up
    source_routing:
      table: 103
      rule_priority: 1100
      gateway: 192.0.2.1

- name: Create a macvlan with the DHCP lease of an old host, from which packets leave with its MAC address
  patchbay.netdev.macvlan:
    name: old-files
    lower_device: eth0
    mode: bridge
    address: "00:16:3e:11:11:02"
    admin_state: up
    source_routing:
      table: 102
      rule_priority: 1100
    dhcp4:
      hostname: files

- name: Create a macvlan in a network namespace on a lower device outside of it
  patchbay.netdev.macvlan:
    name: mv0
    netns: guest
    lower_device: eth0
    mode: vepa
    address: "{{ inventory_hostname | patchbay.netdev.stable_mac('mv0') }}"
    admin_state: up

- name: Accept only frames from two senders
  patchbay.netdev.macvlan:
    name: tapped
    lower_device: eth0
    mode: source
    source_addresses:
      - "52:54:00:12:34:56"
      - "52:54:00:12:34:57"

- name: Change one attribute of an existing link
  patchbay.netdev.macvlan:
    name: mv0
    netns: guest
    mtu: 1400

- name: Move a macvlan to another lower device
  patchbay.netdev.macvlan:
    name: old-mail
    lower_device: eth1
    recreate: when_required

- name: Delete a macvlan
  patchbay.netdev.macvlan:
    name: old-mail
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set mv0: mode vepa -> bridge, mtu 1500 -> 1400"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the link is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: success
    netns:
      description: Network namespace of the link, V(null) for the namespace in which the module runs.
      type: str
      returned: success
    kind:
      description: Kind of the link.
      type: str
      returned: success
    index:
      description: Index of the link in its namespace.
      type: int
      returned: success
    oper_state:
      description: Operational state that the kernel reports.
      type: str
      returned: success
    lower_device_netns:
      description: Network namespace of the lower device, V(null) for the namespace in which the module runs.
      type: str
      returned: success
  sample:
    name: mv0
    netns: null
    kind: macvlan
    lower_device: eth0
    lower_device_netns: null
    mode: bridge
    address: "52:54:00:12:34:56"
    mtu: 1500
    admin_state: up
    oper_state: up
    index: 7
undone:
  description: Operations that were rolled back after a failure, newest first.
  returned: failure while applying
  type: list
  elements: str
not_undone:
  description: Changes that could not be rolled back after a failure.
  returned: failure while applying
  type: list
  elements: str
"""

from functools import partial

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_module
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import argument_spec, desired_link, guarded
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(MACVLAN)), supports_check_mode=True)
    run_module(module, partial(desired_link, MACVLAN))


if __name__ == "__main__":
    main()
