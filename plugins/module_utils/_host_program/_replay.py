# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that brings declared objects back at boot: the same loop as a task, on what was saved. Without Ansible.

replay.pyz            makes what is declared and can be made now
replay.pyz --check    changes nothing; exit status 0: all is as declared, 2: something differs or waits, 1: an error

What it says goes to the standard error, a line each, with the priority that journald reads if that is no terminal.
"""

from __future__ import annotations

import contextlib
import glob
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology, topology_lists
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import FOLDER, Fragment, from_text
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, NetdevError

ERROR, WARNING, INFO = 3, 4, 6  # as syslog has them


def main() -> int:
    """The exit status."""
    check = "--check" in sys.argv[1:]
    if set(sys.argv[1:]) - {"--check"}:
        sys.stderr.write(__doc__)
        return 1
    try:
        with contextlib.nullcontext() if check else locked():
            return Replay(check).run()
    except NetdevError as error:
        log(ERROR, str(error))
        return 1


def log(priority: int, text: str) -> None:
    """A line of the journal, or of a terminal."""
    sys.stderr.write(f"{text}\n" if sys.stderr.isatty() else f"<{priority}>{text}\n")
    sys.stderr.flush()


def _at_boot(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`require` is a condition of the task that wrote it: here, nobody has brought any lower device up yet."""
    return {name: value for name, value in entry.items() if (name, value) != ("lower_device_state", "require")}


class Replay:
    """One run over all declarations."""

    def __init__(self, check: bool) -> None:
        """check: change nothing."""
        self.check = check
        self.failed = self.differs = False

    def run(self) -> int:
        """The exit status."""
        with KernelGateway():
            pass  # whether the library is there shows here, also when nothing is declared yet
        pieces = self._read()
        if pieces and not self._together(pieces):
            self._one_by_one(pieces)
        return 1 if self.failed else 2 if self.check and self.differs else 0

    def _read(self) -> dict[str, Fragment]:
        """The declarations by path; those that cannot be read are told of, and left out."""
        found = {}
        for path in sorted(glob.glob(f"{FOLDER}/*.json")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found[path] = from_text(file.read(), path)
            except (OSError, NetdevError) as error:  # which name the file
                self._fail(error)
        return found

    def _together(self, pieces: Mapping[str, Fragment]) -> bool:
        """Everything as one topology, which costs one look at the kernel; False when a piece of it cannot be made."""
        try:
            self._make(list(pieces.values()))
        except Exception:  # which piece it is, the next step tells
            return False
        return True

    def _one_by_one(self, pieces: Mapping[str, Fragment]) -> None:
        """Each on its own, in the order of the lists; again while something waits and something was made."""
        order = list(topology_lists())
        left = sorted(pieces, key=lambda path: min(order.index(name) for name in pieces[path]))
        while left:
            waiting: dict[str, NetdevError] = {}
            for path in left:
                try:
                    self._make([pieces[path]])
                except Missing as error:
                    waiting[path] = error
                except Exception as error:  # one that fails keeps no other from coming back
                    self._fail(f"{path}: {error}")
            if len(waiting) == len(left) or self.check:
                for path, why in waiting.items():
                    self.differs = True
                    log(WARNING, f"waiting: {path}: {why}")
                return
            left = list(waiting)

    def _make(self, fragments: Sequence[Fragment]) -> None:
        params: dict[str, list[dict[str, Any]]] = {}
        for fragment in fragments:
            for name, entries in fragment.items():
                params.setdefault(name, []).extend(map(_at_boot, entries))
        with KernelGateway() as gateway:
            done = converge(gateway, desired_topology(params), not self.check, allow_lockout=True)
        for operation in done.plan.operations:
            self.differs = True
            log(INFO, f"{'differs: to ' if self.check else ''}{operation}")

    def _fail(self, why: object) -> None:
        self.failed = True
        log(ERROR, f"failed: {why}")
