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
  - Creates, changes and deletes a VLAN link, which sends and receives the tagged frames of one VLAN on its lower device.
  - Requires the kernel driver C(8021q).
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
- name: Create a link for the tagged voice VLAN
  patchbay.netdev.vlan:
    name: eth0.201
    lower_device: eth0
    id: 201
    admin_state: up
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create eth0.201: vlan on eth0, id 201, admin_state up"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the link is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: eth0.201
    kind: vlan
    lower_device: eth0
    id: 201
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vlan import VLAN


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(VLAN)), supports_check_mode=True)
    run_module(module, partial(desired_link, VLAN))


if __name__ == "__main__":
    main()
