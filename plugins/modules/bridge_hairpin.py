#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_hairpin
short_description: Manage hairpin (reflective relay) of a port of a bridge
version_added: 1.0.0
description:
  - Says whether a port sends frames back out of itself, as a switch for VEPA has to.
  - The same is an option of M(patchbay.netdev.bridge_port); this module is for nothing else.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.port.named
options:
  hairpin:
    description:
      - Whether frames may leave by the port that they came in on.
    type: bool
    required: true
    aliases: [reflective_relay]
  bridge:
    description:
      - Bridge that the link has to be attached to. Another one is an error. Nothing is attached here.
    type: str
seealso:
  - module: patchbay.netdev.bridge_port
"""

EXAMPLES = r"""
- name: Let the switch reflect frames between the guests behind a port
  patchbay.netdev.bridge_hairpin:
    port: eth0
    hairpin: true
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "set eth0: hairpin false -> true"
link:
  description:
    - The port as it is after the task (in check mode, as it will be), with the names of the options.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    name: eth0
    controller: br0
    hairpin: true
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

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, hairpin_argument_spec, wanted_hairpin
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(hairpin_argument_spec()), supports_check_mode=True)
    run_module(module, wanted_hairpin)


if __name__ == "__main__":
    main()
