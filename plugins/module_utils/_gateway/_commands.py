# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to run a program of the host: with a fixed PATH, without the caller's environment, and with a time limit."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}  # messages that end up in errors are English
_SECONDS = 60.0

Finished = subprocess.CompletedProcess  # of str


def attempt(command: Sequence[str], stdin: str = "", seconds: float = _SECONDS) -> Finished[str]:
    """Run a command and return its exit status and output; RequestFailed if it cannot be started or does not end."""
    words = " ".join(command)
    try:
        return subprocess.run(
            list(command),
            input=stdin,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=_ENVIRONMENT,
        )
    except OSError as error:
        text = str(error.strerror)
        raise RequestFailed(f"{words} cannot be run: {text}", error.errno or 0, text) from error
    except subprocess.TimeoutExpired as error:
        text = f"{words} did not end within {seconds:g} s"
        raise RequestFailed(text, errno.ETIMEDOUT, text) from error


def run(command: Sequence[str], stdin: str = "", seconds: float = _SECONDS) -> str:
    """Run a command and return what it printed; RequestFailed if it fails."""
    done = attempt(command, stdin, seconds)
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"{' '.join(command)} failed: {text or f'exit status {done.returncode}'}", 0, text)
    return done.stdout
