# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on the next boot: change its files, and test its program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    DeleteFile,
    Reload,
    Request,
    RunSelfTest,
    WriteFile,
)


@dataclass(frozen=True)
class ChangeFiles(Operation):
    """Write and delete files that take effect at the next boot.

    purpose: the beginning of the sentence. changes: (path, before, after), None where there is no file. reloads: the
    programs that read their files again afterwards.
    """

    purpose: str
    changes: tuple[tuple[str, File | None, File | None], ...]
    reloads: tuple[str, ...] = ()

    is_atomic: ClassVar[bool] = False  # a file is written, then the disk is asked for more

    @property
    def key(self) -> str:
        """What the files are for."""
        return self.purpose

    def __str__(self) -> str:
        parts = [f"{'delete' if after is None else 'write'} {path}" for path, _before, after in self.changes]
        return f"{self.purpose}: {', '.join(parts)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes before the next boot."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """The files as they were."""
        changes = tuple((path, after, before) for path, before, after in reversed(self.changes))
        return (replace(self, purpose="restore former files", changes=changes),)

    def requests(self) -> list[Request]:
        """One for each file, then one for each program that reads them."""
        files: list[Request] = [
            DeleteFile(path) if after is None else WriteFile(path, after) for path, _before, after in self.changes
        ]
        paths = tuple(path for path, _before, _after in self.changes)
        return files + [Reload(program, paths) for program in self.reloads]


@dataclass(frozen=True)
class SelfTest(Operation):
    """Run the self-test of the boot program, which fails where the program could not run at the next boot."""

    interpreter: str

    def __str__(self) -> str:
        return f"test the boot program with {self.interpreter}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """Nothing to roll back."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [RunSelfTest(self.interpreter)]
