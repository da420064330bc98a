# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the files of an object are named after it."""

from __future__ import annotations


def escaped(name: str) -> str:
    """A name without the characters that have a meaning in NETNS@NAME, or in the command of a systemd unit."""
    return name.replace("%", "%25").replace("@", "%40").replace("$", "%24")


def netns_prefix(netns: str) -> str:
    """NETNS@, before the name of an object; empty for the namespace that the program runs in."""
    return f"{escaped(netns)}@" if netns else ""
