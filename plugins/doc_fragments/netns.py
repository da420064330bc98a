# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a named network namespace. The texts name no other option, see link.py."""

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
    - Whether the namespace is there.
    - C(absent) deletes the links in it as well, and with them the other ends of pairs. A namespace that is not there is fine.
    - An empty file that was left behind in C(/run/netns), as after a crash, is deleted in either case.
  type: str
  choices: [present, absent]
  default: present
force:
  description:
    - >-
      Whether the name of a namespace may go although processes live in it. Nothing is killed, and they keep the namespace with its
      links until they end.
  type: bool
  default: false
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
