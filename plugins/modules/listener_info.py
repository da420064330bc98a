#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: listener_info
short_description: Read which programs listen on TCP and UDP
version_added: 1.0.0
description:
  - Returns the sockets that wait for somebody, by TCP and UDP, with the programs that have them open.
  - It tells what answers on the addresses of a link, and in which network namespace.
  - It changes nothing. Of programs of other users it knows the names with the rights of root alone.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  netns:
    description:
      - Network namespace to read, by its name in C(/run/netns) or by an absolute path.
      - V(all) reads the one that the module runs in and every named one.
      - Without it, the namespace that the module runs in.
    type: str
seealso:
  - module: patchbay.netdev.link_info
"""

EXAMPLES = r"""
- name: Read who listens, in all namespaces
  patchbay.netdev.listener_info:
    netns: all
  register: found

- name: Name the programs that wait for datagrams on all addresses
  ansible.builtin.debug:
    msg: "{{ found.listeners | selectattr('protocol', 'eq', 'udp') | selectattr('address', 'none') | map(attribute='process') }}"
"""

RETURN = r"""
listeners:
  description: The sockets, by namespace, protocol and port.
  returned: success
  type: list
  elements: dict
  contains:
    netns:
      description: Network namespace that the socket is in, V(null) for the one that the module runs in.
      type: str
      returned: always
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: always
    families:
      description: The address families that it serves, V(ipv4), V(ipv6) or both.
      type: list
      elements: str
      returned: always
    address:
      description: The address that it is bound to, V(null) for all of them.
      type: str
      returned: always
    port:
      description: The port.
      type: int
      returned: always
    link:
      description: The link that it is bound to, V(null) for none.
      type: str
      returned: always
    process:
      description: Name of a process that has it open, V(null) when that is not known.
      type: str
      returned: always
    process_id:
      description: Number of that process. Of several, the first.
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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import LISTENER_ARGUMENTS
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_listeners


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=LISTENER_ARGUMENTS, supports_check_mode=True)
    run_listeners(module)


if __name__ == "__main__":
    main()
