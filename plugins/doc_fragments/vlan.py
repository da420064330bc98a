# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VLAN. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
id:
  description:
    - VLAN ID, from 1 to 4094. Required to create the link. Another ID requires the link to be recreated.
  type: int
protocol:
  description:
    - Protocol of the VLAN tag. Defaults to V(802.1q) for a new link. Another protocol requires the link to be recreated.
  type: str
  choices: [802.1q, 802.1ad]
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
