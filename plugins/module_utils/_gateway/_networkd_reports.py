# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd-networkd reports: the state of each link in its files in /run, and its log lines in the journal."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
from collections.abc import Iterable, Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._atomic_files import read_text
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed

SERVICE = "systemd-networkd.service"
LINKS = "/run/systemd/netif/links"
_JOURNAL = ["journalctl", "--unit", SERVICE, "--quiet", "--no-pager", "--output", "cat"]


def link_state(index: int) -> dict[str, str]:
    """The state of a link: ADMIN_STATE, NETWORK_FILE and others; empty if networkd does not know it."""
    text = read_text(f"{LINKS}/{index}") or ""
    return dict(line.partition("=")[::2] for line in text.splitlines())


def link_states() -> dict[str, dict[str, str]]:
    """The state of each link, by name."""
    states = {}
    for path in glob.glob(f"{LINKS}/[0-9]*"):
        index = int(os.path.basename(path))
        with contextlib.suppress(OSError):  # the link is gone meanwhile
            states[socket.if_indextoname(index)] = link_state(index)
    return states


def journal_end() -> list[str]:
    """The end of the journal, as options of journalctl."""
    cursor = _journal(["--lines", "0", "--show-cursor"]).rpartition("cursor: ")[2].strip()
    return ["--after-cursor", cursor] if cursor else ["--since", "-5s"]


def complaints(paths: Iterable[str], since: Sequence[str]) -> list[str]:
    """What networkd logged about these files: it ignores lines that it does not understand. since: options of journalctl."""
    with contextlib.suppress(RequestFailed):
        commands.attempt(["journalctl", "--sync"])
    prefixes = tuple(f"{path}:" for path in paths)
    return [line for line in _journal(since).splitlines() if line.startswith(prefixes)]


def _journal(options: Sequence[str]) -> str:
    """Log lines of networkd; none if there is no journal."""
    with contextlib.suppress(RequestFailed):
        return commands.attempt([*_JOURNAL, *options]).stdout
    return ""
