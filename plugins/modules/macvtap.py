#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap
short_description: Manage a macvtap link
version_added: 1.0.0
description:
  - >-
    Creates, changes and deletes a macvtap, which is a macvlan whose frames pass through a device node C(/dev/tapN) that a virtual machine
    opens.
  - >-
    The module identifies the device node by its device number, because links in two namespaces may have the same index and thus the same
    node name.
  - >-
    QEMU requires an open device node (C(-netdev tap,id=n0,fd=3,vhost=off 3<>/dev/tapN)) and the MAC address of the macvtap in the virtual
    machine. libvirt requires the name of the link, see RV(link.libvirt_xml).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.on_lower_device
  - patchbay.netdev.node
seealso:
  - module: patchbay.netdev.topology
  - module: patchbay.netdev.link_info
  - module: patchbay.netdev.macvlan
"""

EXAMPLES = r"""
- name: Create a macvtap for a virtual machine that runs as user libvirt-qemu
  patchbay.netdev.macvtap:
    name: guest0
    lower_device: eth0
    mode: bridge
    address: "52:54:00:12:34:56"
    device_owner: libvirt-qemu
    device_group: kvm
    device_mode: "0660"
    admin_state: up
  register: guest0

- name: Show the device node
  ansible.builtin.debug:
    msg: "{{ guest0.link.device }}"

- name: Delete a macvtap
  patchbay.netdev.macvtap:
    name: guest0
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set guest0: device_mode 0600 -> 0660"
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
    device:
      description: Device node of the link, V(null) if the link has no device node of its own.
      type: str
      returned: success
    device_number:
      description: Major and minor number of the device node.
      type: str
      returned: success
    libvirt_xml:
      description: XML element for a libvirt domain that uses the link without managing it.
      type: str
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
    name: guest0
    netns: null
    kind: macvtap
    device: /dev/tap18
    device_number: "246:1"
    device_mode: "0660"
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVTAP


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(MACVTAP)), supports_check_mode=True)
    run_module(module, partial(desired_link, MACVTAP))


if __name__ == "__main__":
    main()
