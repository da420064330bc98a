# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the device node of a macvtap. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
device_owner:
  description:
    - Owner of the device node, as a user name or a user ID. A new node belongs to root.
  type: str
device_group:
  description:
    - Group of the device node, as a group name or a group ID.
  type: str
device_mode:
  description:
    - Permissions of the device node in octal notation, such as V('0660'). Quote the value.
    - If omitted, a new node has the permissions C(0600) unless a udev rule sets others.
  type: raw
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
