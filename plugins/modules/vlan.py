#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: vlan
short_description: Manage a VLAN link
version_added: 1.0.0
description:
  - Creates, changes and deletes a link that sends and receives the tagged frames of one VLAN of its lower device.
  - The kernel of the host needs C(8021q).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.on_lower_device.below_only
  - patchbay.netdev.vlan
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: The tagged voice VLAN, as the lower device of a macvlan
  patchbay.netdev.vlan:
    name: eth0.201
    lower_device: eth0
    id: 201
    admin_state: up
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create eth0.201: vlan on eth0, id 201, admin_state up"
link:
  description:
    - The link as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    name: eth0.201
    kind: vlan
    lower_device: eth0
    id: 201
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vlan import VLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(VLAN)), supports_check_mode=True)
    run_module(module, partial(wanted, VLAN))


if __name__ == "__main__":
    main()
