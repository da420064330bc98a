# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH connection that this process belongs to, by the environment variable that the server sets."""

from __future__ import annotations

import os
from collections.abc import Iterator


def ssh_addresses() -> tuple[str, str] | None:
    """The addresses of client and server; None if this process belongs to no SSH connection.

    sudo removes SSH_CONNECTION from the environment, but an ancestor of the process still has it.
    """
    for value in _values():
        words = value.split()
        if len(words) == 4:
            client, server = (address.partition("%")[0] for address in (words[0], words[2]))
            return client, server
    return None


def _values() -> Iterator[str]:
    if os.environ.get("SSH_CONNECTION"):
        yield os.environ["SSH_CONNECTION"]
    process = os.getppid()
    while process > 1:
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                entries = file.read().split(b"\0")
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:  # another user's, or ended
            return
        yield from (entry[15:].decode(errors="replace") for entry in entries if entry.startswith(b"SSH_CONNECTION="))
        process = parent
