#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Manage a veth pair
version_added: 1.0.0
description:
  - Creates, changes and deletes a veth pair, which is a pair of links that pass frames to each other, often between network namespaces.
  - The name of either end identifies an existing pair. If one end is deleted, the kernel deletes the peer too.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.veth
seealso:
  - module: patchbay.netdev.bridge_port
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Connect a network namespace, with the same name at both ends
  patchbay.netdev.veth:
    name: veth0
    admin_state: up
    peer:
      name: veth0
      netns: guest
      admin_state: up

- name: Attach one end to a bridge
  patchbay.netdev.veth:
    name: port0
    controller: br0
    admin_state: up
    peer:
      name: eth0
      netns: guest
      address: "52:54:00:00:00:01"
      admin_state: up

- name: Delete the pair
  patchbay.netdev.veth:
    name: port0
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create veth0: veth with peer veth0 in netns guest, admin_state up"
link:
  description:
    - State of the first end after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the pair is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: veth0
    kind: veth
    peer: {name: veth0, netns: guest}
    admin_state: up
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._veth import VETH


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(VETH)), supports_check_mode=True)
    run_module(module, partial(desired_link, VETH))


if __name__ == "__main__":
    main()
