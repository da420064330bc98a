#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_port
short_description: Manage a bridge port
version_added: 1.0.0
description:
  - Attaches a link to a bridge, detaches it, and changes the settings of the bridge port.
  - Only settings that differ are changed. A link that is already attached stays attached, and the port does not flap.
  - >-
    The VLANs of a port (C(bridge vlan)), its limit of tracked multicast hosts, and what is set by MRP are not managed.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.port
seealso:
  - module: patchbay.netdev.bridge
  - module: patchbay.netdev.bridge_hairpin
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Attach a link and set port settings
  patchbay.netdev.bridge_port:
    port: eth1
    bridge: br0
    isolated: true
    learning: false

- name: Change one setting of a port of any bridge
  patchbay.netdev.bridge_port:
    port: eth1
    hairpin: true

- name: Detach the link
  patchbay.netdev.bridge_port:
    port: eth1
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set eth1: controller \"\" -> br0"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options. C(controller) is its bridge.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: eth1
    controller: br0
    isolated: true
    learning: false
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

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_module
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_port, guarded, port_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(port_argument_spec()), supports_check_mode=True)
    run_module(module, desired_port)


if __name__ == "__main__":
    main()
