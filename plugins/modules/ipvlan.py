#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ipvlan
short_description: Manage an ipvlan link
version_added: 1.0.0
description:
  - >-
    Creates, changes and deletes an ipvlan link, which has IP addresses of its own and shares the MAC address of its lower device. It serves
    where the network accepts one MAC address per port, such as most clouds, access points and switches with port security.
  - >-
    The kernel allows no ipvlan on a lower device that has a macvlan or macvtap, and no macvlan or macvtap on one that has an ipvlan.
    An ipvlan cannot be a bridge port.
  - >-
    A DHCP server sees all links on one lower device with the same MAC address. Set a different O(dhcp4.client_id) for each of them.
  - Requires the kernel driver C(ipvlan).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.on_lower_device.below_only
  - patchbay.netdev.ipvlan
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Give a network namespace an address of its own on a network that accepts one MAC address
  patchbay.netdev.ipvlan:
    name: eth0
    netns: guest
    lower_device: eth0
    mode: l2
    addresses: [192.0.2.25/24]
    admin_state: up

- name: Isolate all ipvlans on eth0 from each other
  patchbay.netdev.ipvlan:
    name: eth0
    netns: guest
    flags: private

- name: Delete the ipvlan
  patchbay.netdev.ipvlan:
    name: eth0
    netns: guest
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create eth0 in netns guest: ipvlan on eth0, mode l2, admin_state up, addresses [192.0.2.25/24]"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the link is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: eth0
    netns: guest
    kind: ipvlan
    lower_device: eth0
    mode: l2
    flags: bridge
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._ipvlan import IPVLAN


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(IPVLAN)), supports_check_mode=True)
    run_module(module, partial(desired_link, IPVLAN))


if __name__ == "__main__":
    main()
