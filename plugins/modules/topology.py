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
  - Plans all links, routes and rules of the task together and applies the plan. Each link is created after the links that it depends on.
  - Entries may have any order. Objects with O(macvlan[].state=absent) are deleted first.
  - If an operation fails, all operations before it are rolled back.
  - One task for many links takes a fraction of the time of one task per link.
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
- name: Move two old hosts to a new host
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

- name: Create a macvlan for each old host of the inventory
  patchbay.netdev.topology:
    macvlan: "{{ old_hosts }}"
  vars:
    old_hosts:
      - {name: old-web, lower_device: eth0, mode: bridge, address: "00:16:3e:11:11:04"}
      - {name: old-dns, lower_device: eth0, mode: bridge, address: "00:16:3e:11:11:05", netns: dns}
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation, in the order of execution. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create old-mail: macvlan on eth0, mode bridge, address 00:16:3e:11:11:01, admin_state up"
links:
  description:
    - The links of the task in the order of the entries, each in the format of RV(patchbay.netdev.macvlan#module:link).
    - V(null) for an absent link.
  returned: success
  type: list
  elements: dict
routes:
  description: The routes of the task in the order of the entries, each in the format of RV(patchbay.netdev.route#module:route). V(null) for an absent route.
  returned: success
  type: list
  elements: dict
rules:
  description: The rules of the task in the order of the entries, each in the format of RV(patchbay.netdev.rule#module:rule). V(null) for an absent rule.
  returned: success
  type: list
  elements: dict
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

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, topology_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(topology_argument_spec()), supports_check_mode=True)
    run_topology(module)


if __name__ == "__main__":
    main()
