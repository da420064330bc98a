# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a pair. The texts name no other option, see link.py; those of the other end are the same once more."""

from __future__ import annotations

from textwrap import indent

from ansible_collections.patchbay.netdev.plugins.doc_fragments import link

_PEER = r"""
name:
  description:
    - Name of the other end, at most 15 bytes. It is needed to create the pair.
    - Another name in the same namespace renames the other end. Another namespace needs the pair to be created again.
  type: str
netns:
  description:
    - Network namespace that the other end is in, by its name in C(/run/netns) or by an absolute path.
    - Without it, the namespace that the module runs in.
  type: str
"""

_HEAD = """
peer:
  description:
    - The other end of the pair, with its own attributes. Both ends are made in one request, each straight in its namespace.
  type: dict
  suboptions:"""

OPTIONS = _HEAD + indent(_PEER + link.ATTRIBUTES + link.AT_CREATION, "    ") + "\n"


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
