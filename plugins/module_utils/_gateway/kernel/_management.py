# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the task came to this host: by ssh, whose server leaves a note in the environment, or by what leads out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator


def ssh_addresses() -> tuple[str, str] | None:
    """The client's address and ours, of the ssh connection that this process belongs to; None when there is none.

    sudo takes SSH_CONNECTION out of the environment, but an ancestor of the process still has it.
    """
    for value in _notes():
        words = value.split()
        if len(words) == 4:
            client, server = (address.partition("%")[0] for address in (words[0], words[2]))
            return client, server
    return None


def _notes() -> Iterator[str]:
    if os.environ.get("SSH_CONNECTION"):
        yield os.environ["SSH_CONNECTION"]
    process = os.getppid()
    while process > 1:
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                entries = file.read().split(b"\0")
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:  # another user's, or gone
            return
        yield from (entry[15:].decode(errors="replace") for entry in entries if entry.startswith(b"SSH_CONNECTION="))
        process = parent
