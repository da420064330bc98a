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
  - Creates, changes and deletes a macvlan, a link with a MAC address of its own on top of an Ethernet device.
  - Use M(patchbay.netdev.topology) for many links, which are planned together and applied in one task.
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

- name: A macvlan inside a network namespace, on a lower device outside
  patchbay.netdev.macvlan:
    name: mv0
    netns: guest
    lower_device: eth0
    mode: vepa
    address: "{{ inventory_hostname | patchbay.netdev.stable_mac('mv0') }}"
    admin_state: up

- name: Take only frames from two senders
  patchbay.netdev.macvlan:
    name: tapped
    lower_device: eth0
    mode: source
    source_addresses:
      - "52:54:00:12:34:56"
      - "52:54:00:12:34:57"

- name: Change one attribute of a link that exists, and leave all others as they are
  patchbay.netdev.macvlan:
    name: mv0
    netns: guest
    mtu: 1400

- name: Move a macvlan to another lower device
  patchbay.netdev.macvlan:
    name: old-mail
    lower_device: eth1
    recreate: when_required

- name: Delete it
  patchbay.netdev.macvlan:
    name: old-mail
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "set mv0: mode vepa -> bridge, mtu 1500 -> 1400"
link:
  description:
    - The link as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: success
    netns:
      description: Network namespace, V(null) for the one that the module runs in.
      type: str
      returned: success
    kind:
      description: Kind of the link.
      type: str
      returned: success
    index:
      description: Number of the link in its namespace.
      type: int
      returned: success
    oper_state:
      description: Operational state, as the kernel reports it.
      type: str
      returned: success
    lower_device_netns:
      description: Network namespace of the lower device, V(null) for the one that the module runs in.
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
  description: The operations that were taken back after a failure, newest first.
  returned: failure while applying
  type: list
  elements: str
not_undone:
  description: What could not be taken back after a failure.
  returned: failure while applying
  type: list
  elements: str
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import argument_spec, guarded, wanted
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(MACVLAN)), supports_check_mode=True)
    run_module(module, partial(wanted, MACVLAN))


if __name__ == "__main__":
    main()
