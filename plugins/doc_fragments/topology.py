# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of topology: a list per kind, with the options of its module in each entry, from the same texts."""

from __future__ import annotations

from textwrap import indent

from ansible_collections.patchbay.netdev.plugins.doc_fragments import link, on_lower_device


def _entries(kind: str, description: str, *options: str) -> str:
    head = f"  {kind}:\n    description:\n      - {description}\n    type: list\n    elements: dict\n    suboptions:"
    return head + indent("".join(options), "      ")


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:\n" + _entries(
        "macvlan",
        "Links of kind macvlan, each with the options of M(patchbay.netdev.macvlan).",
        link.OPTIONS,
        on_lower_device.OPTIONS,
    )
