# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a veth pair. The texts refer to no other option, see link.py. The peer has the options of a link too."""

from __future__ import annotations

from textwrap import indent

from ansible_collections.patchbay.netdev.plugins.doc_fragments import link

_PEER = r"""
name:
  description:
    - Name of the peer, at most 15 bytes. Required to create the pair.
    - Another name in the same namespace renames the peer. Another namespace requires the pair to be recreated.
  type: str
netns:
  description:
    - Network namespace of the peer, as a name in C(/run/netns) or an absolute path.
    - Defaults to the namespace in which the module runs.
  type: str
"""

_HEAD = """
peer:
  description:
    - Peer of the link, with its own attributes. Both ends are created in one request, each directly in its namespace.
    - A text is the name of the peer.
  type: dict
  suboptions:"""

OPTIONS = _HEAD + indent(_PEER + link.ATTRIBUTES + link.SOURCE_ROUTING + link.AT_CREATION, "    ") + "\n"


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")
