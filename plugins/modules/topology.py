#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: topology
short_description: Manage many virtual links as one desired state
version_added: 1.0.0
description:
  - Plans all the links of a host together and applies the plan in one task, each link after those that it needs.
  - The input may have any order. Entries with O(macvlan[].state=absent) go first.
  - When one operation fails, all that were done before are undone.
  - One task for many links takes a small part of the time of one task per link.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.topology
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.link_info
"""

EXAMPLES = r"""
- name: Two old hosts on one new one
  patchbay.netdev.topology:
    macvlan:
      - name: old-mail
        lower_device: eth0
        lower_device_state: up
        mode: bridge
        address: "00:16:3e:11:11:01"
        admin_state: up
      - name: old-files
        lower_device: eth0
        mode: bridge
        address: "00:16:3e:11:11:02"
        admin_state: up
      - name: old-print
        state: absent

- name: A link for each old host that the inventory names, with the options of the module macvlan
  patchbay.netdev.topology:
    macvlan: "{{ old_hosts }}"
  vars:
    old_hosts:
      - {name: old-web, lower_device: eth0, mode: bridge, address: "00:16:3e:11:11:04"}
      - {name: old-dns, lower_device: eth0, mode: bridge, address: "00:16:3e:11:11:05", netns: dns}
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation, in the order in which they run. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create old-mail: macvlan on eth0, mode bridge, address 00:16:3e:11:11:01, admin_state up"
links:
  description:
    - The links of the task in the order of the input, each as RV(patchbay.netdev.macvlan#module:link) of its module.
    - A link that is absent is V(null).
  returned: success
  type: list
  elements: dict
routes:
  description: The routes of the task in the order of the input, each as RV(patchbay.netdev.route#module:route). One that is absent is V(null).
  returned: success
  type: list
  elements: dict
rules:
  description: The rules of the task in the order of the input, each as RV(patchbay.netdev.rule#module:rule). One that is absent is V(null).
  returned: success
  type: list
  elements: dict
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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, topology_argument_spec
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_topology


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(topology_argument_spec()), supports_check_mode=True)
    run_topology(module)


if __name__ == "__main__":
    main()
