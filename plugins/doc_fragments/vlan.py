# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VLAN. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
id:
  description:
    - Number of the VLAN, from 1 to 4094. It is needed to create the link, and another one needs it to be created again.
  type: int
protocol:
  description:
    - Kind of the tag. A new link has C(802.1q) when this is not written, and another one needs it to be created again.
  type: str
  choices: [802.1q, 802.1ad]
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
