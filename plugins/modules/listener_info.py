#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: listener_info
short_description: Return listening TCP and UDP sockets
version_added: 1.0.0
description:
  - Returns listening TCP sockets and bound UDP sockets, with the processes that have them open.
  - Shows which programs reply on the addresses of a link, and in which network namespace.
  - The module makes no changes. The processes of other users are returned only to root.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  netns:
    description:
      - Network namespace to read, as a name in C(/run/netns) or an absolute path.
      - V(all) reads the namespace in which the module runs and all named namespaces.
      - Defaults to the namespace in which the module runs.
    type: str
seealso:
  - module: patchbay.netdev.link_info
"""

EXAMPLES = r"""
- name: Read the listening sockets in all namespaces
  patchbay.netdev.listener_info:
    netns: all
  register: sockets

- name: Show the programs that receive UDP datagrams on all addresses
  ansible.builtin.debug:
    msg: "{{ sockets.listeners | selectattr('protocol', 'eq', 'udp') | selectattr('address', 'none') | map(attribute='process') }}"
"""

RETURN = r"""
listeners:
  description: The sockets, sorted by namespace, protocol and port.
  returned: success
  type: list
  elements: dict
  contains:
    netns:
      description: Network namespace of the socket, V(null) for the namespace in which the module runs.
      type: str
      returned: always
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: always
    families:
      description: Address families of the socket, V(ipv4), V(ipv6) or both.
      type: list
      elements: str
      returned: always
    address:
      description: Address that the socket is bound to, V(null) for all addresses.
      type: str
      returned: always
    port:
      description: Port of the socket.
      type: int
      returned: always
    link:
      description: Link that the socket is bound to, V(null) for none.
      type: str
      returned: always
    process:
      description: Name of the process that has the socket open, V(null) if it is unknown.
      type: str
      returned: always
    process_id:
      description: Process ID of that process. If several processes have the socket open, of the first one.
      type: int
      returned: always
  sample:
    - netns: null
      protocol: tcp
      families: [ipv4, ipv6]
      address: null
      port: 22
      link: null
      process: sshd
      process_id: 612
"""

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_listeners
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import LISTENER_ARGUMENTS


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=LISTENER_ARGUMENTS, supports_check_mode=True)
    run_listeners(module)


if __name__ == "__main__":
    main()
