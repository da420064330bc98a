# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible reaches a test host whatever its network does: tests/hosts/host enters it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: host
short_description: Enters a test host
description:
  - Runs commands as root of the test host that has the name of the inventory's host, without ssh and without a network.
  - Works in tests/sandbox, where ANSIBLE_CONNECTION_PLUGINS names this folder.
author:
  - Contributors to the patchbay.netdev project
extends_documentation_fragment:
  - connection_pipelining
"""

HOST = Path(__file__).parents[1] / "host"


class Connection(ConnectionBase):
    """There is nothing to connect: each command enters the host anew, and so also after a reboot."""

    transport = "host"
    has_pipelining = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a line for a shell."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._enter(cmd, in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Bring a file into the host."""
        self._checked(f"cat > {shlex.quote(out_path)}", Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Get a file out of the host."""
        Path(out_path).write_bytes(self._checked(f"cat {shlex.quote(in_path)}"))

    def close(self) -> None:
        """See the class."""

    def reset(self) -> None:
        """See the class."""

    def _enter(self, line: str, given: bytes | None) -> tuple[int, bytes, bytes]:
        command = [str(HOST), "enter", self._play_context.remote_addr, "/bin/sh", "-c", line]
        done = subprocess.run(command, input=given or b"", capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def _checked(self, line: str, given: bytes | None = None) -> bytes:
        code, stdout, stderr = self._enter(line, given)
        if code:
            raise AnsibleConnectionFailure(f"{line}: {stderr.decode()}")
        return stdout
