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
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import (
    FOLDER,
    creation_order,
    from_text,
    with_both_ends,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredLink
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


def _at_boot(item: Desired) -> Desired:
    """`require` is a condition of the task that set it: at boot, nobody has brought any lower device up yet."""
    if not isinstance(item, DesiredLink) or item.policy.lower_device_state != "require":
        return item
    return replace(item, policy=replace(item.policy, lower_device_state=None))


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
        items = self._read()
        if items and not self._restore_together(items):
            self._restore_one_by_one(items)
        return 1 if self.failed else 2 if self.check and self.differs else 0

    def _read(self) -> list[Desired]:
        """The declared objects; files that cannot be read are logged, and left out."""
        found = []
        for path in sorted(glob.glob(f"{FOLDER}/*.json")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found.append(from_text(file.read(), path))
            except (OSError, NetdevError) as error:  # which name the file
                self._fail(error)
        return found

    def _restore_together(self, items: Sequence[Desired]) -> bool:
        """Restore all objects with one observation of the kernel; False when one of them cannot be restored."""
        try:
            self._restore(items)
        except Exception:  # restoring one by one shows which object it is
            return False
        return True

    def _restore_one_by_one(self, items: Sequence[Desired]) -> None:
        """Restore each object on its own; repeat while some of them wait and others were restored."""
        left = sorted(items, key=creation_order)
        while left:
            waiting: list[tuple[Desired, Missing]] = []
            for item in left:
                try:
                    self._restore([item])
                except Missing as error:
                    waiting.append((item, error))
                except Exception as error:  # an object that fails keeps no other from being restored
                    self._fail(f"{item.origin}: {error}")
            if len(waiting) == len(left) or self.check:
                for item, why in waiting:
                    self.differs = True
                    log(WARNING, f"waiting: {item.origin}: {why}")
                return
            left = [item for item, _why in waiting]

    def _restore(self, items: Sequence[Desired]) -> None:
        with KernelGateway() as gateway:
            done = converge(gateway, with_both_ends(map(_at_boot, items)), not self.check, allow_lockout=True)
        for operation in done.plan.operations:
            self.differs = True
            log(INFO, f"{'differs: to ' if self.check else ''}{operation}")

    def _fail(self, why: object) -> None:
        self.failed = True
        log(ERROR, f"failed: {why}")
