#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: route
short_description: Manage a route
version_added: 1.0.0
description:
  - Creates, changes and deletes an IPv4 or IPv6 route in any table and namespace. A route that changes is replaced without a gap.
  - Omitted options are not managed. Gateway and link form the next hop and are managed together.
  - Routes with several next hops and routes of other owners are never changed.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.route
seealso:
  - module: patchbay.netdev.rule
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Create a default route in the table of an old host
  patchbay.netdev.route:
    destination: default
    gateway: 192.0.2.1
    link: old-mail
    table: 125

- name: Keep packets from being routed through other links while that link is down
  patchbay.netdev.route:
    destination: default
    type: unreachable
    metric: 4278198272
    table: 125

- name: Delete a route
  patchbay.netdev.route:
    destination: 2001:db8:7::/48
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
    - "create route to 0.0.0.0/0 table 125: type unicast, gateway 192.0.2.1, link old-mail, scope global, onlink false"
route:
  description:
    - State of the route after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the route is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    destination: 0.0.0.0/0
    family: ipv4
    gateway: 192.0.2.1
    link: old-mail
    table: 125
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
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_route, guarded, route_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(route_argument_spec()), supports_check_mode=True)
    run_module(module, desired_route)


if __name__ == "__main__":
    main()
