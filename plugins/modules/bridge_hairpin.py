#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_hairpin
short_description: Manage hairpin (reflective relay) of a bridge port
version_added: 1.0.0
description:
  - Sets whether the bridge may send frames out of the port that it received them on, as a switch for VEPA must.
  - M(patchbay.netdev.bridge_port) has the same option. This module manages nothing else.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.port.named
options:
  hairpin:
    description:
      - Whether the bridge may send frames out of the port that it received them on (reflective relay).
    type: bool
    required: true
    aliases: [reflective_relay]
  bridge:
    description:
      - Bridge that the link must be attached to. The module fails if the link is attached to another bridge. It does not attach links.
    type: str
seealso:
  - module: patchbay.netdev.bridge_port
"""

EXAMPLES = r"""
- name: Reflect frames between the virtual machines behind a port
  patchbay.netdev.bridge_hairpin:
    port: eth0
    hairpin: true
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set eth0: hairpin false -> true"
link:
  description:
    - State of the port after the task, or the predicted state in check mode. The keys are the names of the options.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: eth0
    controller: br0
    hairpin: true
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
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_hairpin, guarded, hairpin_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(hairpin_argument_spec()), supports_check_mode=True)
    run_module(module, desired_hairpin)


if __name__ == "__main__":
    main()
