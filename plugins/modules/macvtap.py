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
    Creates, changes and deletes a macvtap: a macvlan whose frames go to a device node, C(/dev/tapN), which a virtual machine opens.
  - The node is told by its device number, for links in two namespaces may share an index and so the name of a node.
  - >-
    QEMU takes an open node, C(-netdev tap,id=n0,fd=3,vhost=off 3<>/dev/tapN), with the MAC address of the macvtap for the guest. libvirt
    takes the link by its name, see RV(link.libvirt_xml).
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
- name: A macvtap for a guest that runs as user libvirt-qemu
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

- name: Name its node
  ansible.builtin.debug:
    msg: "{{ guest0.link.device }}"

- name: Delete it
  patchbay.netdev.macvtap:
    name: guest0
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "set guest0: device_mode 0600 -> 0660"
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
    device:
      description: Device node of the link, V(null) when it has none of its own.
      type: str
      returned: success
    device_number:
      description: Major and minor number of the node.
      type: str
      returned: success
    libvirt_xml:
      description: Element for a libvirt domain that uses the link and leaves it there.
      type: str
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVTAP
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(MACVTAP)), supports_check_mode=True)
    run_module(module, partial(wanted, MACVTAP))


if __name__ == "__main__":
    main()
