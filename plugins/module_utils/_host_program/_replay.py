# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores declared objects at boot, by the same loop as a task. Without Ansible.

replay.pyz            creates and changes what is declared, as far as that is possible now
replay.pyz --check    changes nothing; exit status 0: no drift, 2: drift, or something waits for another object, 1: an error

Messages go to standard error, one per line, with a priority that journald reads unless standard error is a terminal.
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

ERROR, WARNING, INFO = 3, 4, 6  # of syslog


def main() -> int:
    """Restore what is declared, or look for drift; the exit status."""
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
    """Write a line to the journal, or to a terminal."""
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
        self.has_failed = self.has_drift = False

    def run(self) -> int:
        """The exit status."""
        with KernelGateway():
            pass  # report a missing library even if nothing is declared
        items = self._read()
        if items and not self._restore_together(items):
            self._restore_one_by_one(items)
        return 1 if self.has_failed else 2 if self.check and self.has_drift else 0

    def _read(self) -> list[Desired]:
        """The declared objects; files that cannot be read are logged, and left out."""
        items = []
        for path in sorted(glob.glob(f"{FOLDER}/*.json")):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    items.append(from_text(file.read(), path))
            except (OSError, NetdevError) as error:  # its message names the file
                self._report_failure(error)
        return items

    def _restore_together(self, items: Sequence[Desired]) -> bool:
        """Restore all objects with one observation of the kernel; False when one of them cannot be restored."""
        try:
            self._restore(items)
        except Exception:  # restoring one by one shows which object it is
            return False
        return True

    def _restore_one_by_one(self, items: Sequence[Desired]) -> None:
        """Restore each object on its own; repeat while some of them wait and others were restored."""
        pending = sorted(items, key=creation_order)
        while pending:
            waiting: list[tuple[Desired, Missing]] = []
            for item in pending:
                try:
                    self._restore([item])
                except Missing as error:
                    waiting.append((item, error))
                except Exception as error:  # an object that fails keeps no other from being restored
                    self._report_failure(f"{item.origin}: {error}")
            if len(waiting) == len(pending) or self.check:
                for item, missing in waiting:
                    self.has_drift = True
                    log(WARNING, f"waiting: {item.origin}: {missing}")
                return
            pending = [item for item, _error in waiting]

    def _restore(self, items: Sequence[Desired]) -> None:
        with KernelGateway() as gateway:
            result = converge(gateway, with_both_ends(map(_at_boot, items)), not self.check, allow_lockout=True)
        for operation in result.plan.operations:
            self.has_drift = True
            log(INFO, f"{'differs: to ' if self.check else ''}{operation}")

    def _report_failure(self, error: object) -> None:
        self.has_failed = True
        log(ERROR, f"failed: {error}")
