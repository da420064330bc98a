#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: dummy
short_description: Manage a dummy link
version_added: 1.0.0
description:
  - >-
    Creates, changes and deletes a dummy link, which drops all frames that are sent through it. It holds addresses, or serves as the lower
    device of links that only communicate with each other.
  - Requires the kernel driver C(dummy).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Create a link that never loses its carrier, for the address of a service
  patchbay.netdev.dummy:
    name: service0
    admin_state: up

- name: Create macvlans that only communicate with each other, and their lower device
  patchbay.netdev.topology:
    dummy: [{name: inside0, admin_state: up}]
    macvlan:
      - {name: one, lower_device: inside0, mode: bridge, admin_state: up}
      - {name: two, lower_device: inside0, mode: bridge, netns: guest, admin_state: up}
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create service0: dummy, admin_state up"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the link is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: service0
    kind: dummy
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._dummy import DUMMY


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(DUMMY)), supports_check_mode=True)
    run_module(module, partial(desired_link, DUMMY))


if __name__ == "__main__":
    main()
