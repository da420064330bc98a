#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Manage a bridge
version_added: 1.0.0
description:
  - Creates, changes and deletes a bridge.
  - Use M(patchbay.netdev.bridge_port), or the option C(controller) of the module of a link, to attach links to the bridge.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.bridge
seealso:
  - module: patchbay.netdev.bridge_port
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Create a bridge for virtual machines
  patchbay.netdev.bridge:
    name: br0
    address: "52:54:00:00:00:b0"
    forward_delay: 0
    multicast_snooping: false
    admin_state: up

- name: Delete the bridge and keep its ports, detached
  patchbay.netdev.bridge:
    name: br0
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set br0: forward_delay 15 -> 0"
link:
  description:
    - State of the bridge after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the bridge is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: br0
    kind: bridge
    forward_delay: 0.0
    address: "52:54:00:00:00:b0"
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import BRIDGE


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(BRIDGE)), supports_check_mode=True)
    run_module(module, partial(desired_link, BRIDGE))


if __name__ == "__main__":
    main()
