# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a named network namespace. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
name:
  description:
    - Name of the network namespace, as C(ip netns) shows it.
  type: str
  required: true
state:
  description:
    - Whether the namespace should exist.
    - >-
      V(absent) deletes the namespace with its links, and thereby the other ends of veth pairs. It makes no change if the namespace
      does not exist.
    - An empty file in C(/run/netns), as a crash leaves it behind, is deleted in either case.
  type: str
  choices: [present, absent]
  default: present
force:
  description:
    - >-
      Whether to remove the name of a namespace that processes use. The processes are not killed. They keep the namespace and its links
      until they end.
  type: bool
  default: false
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
