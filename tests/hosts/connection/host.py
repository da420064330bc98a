# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection plugin that enters a test host with tests/hosts/host, independent of its network."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: host
short_description: Enter a test host
description:
  - Runs commands as root of the test host with the name of the inventory host, without ssh and without a network.
  - Works only in tests/sandbox. ANSIBLE_CONNECTION_PLUGINS must name this folder.
author:
  - Contributors to the patchbay.netdev project
extends_documentation_fragment:
  - connection_pipelining
"""

HOST = Path(__file__).parents[1] / "host"


class Connection(ConnectionBase):
    """Each command enters the host anew, so commands also work after a reboot."""

    transport = "host"
    has_pipelining = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a shell command."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._enter(cmd, in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file to the host."""
        self._checked(f"cat > {shlex.quote(out_path)}", Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file from the host."""
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
