# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that are about the next boot: its files, and a trial of its program."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """Write and delete files of the next boot: (path, before, after). reloads: the programs that then read theirs again."""

    subject: str
    changes: tuple[tuple[str, File | None, File | None], ...]
    reloads: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is about."""
        return self.subject

    def __str__(self) -> str:
        words = [f"{'delete' if after is None else 'write'} {path}" for path, _before, after in self.changes]
        return f"{self.subject}: {', '.join(words)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes until the next boot."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """The files as they were."""
        changes = tuple((path, after, before) for path, before, after in reversed(self.changes))
        return (replace(self, changes=changes),)

    def requests(self) -> list[Request]:
        """One for each file, and word of them."""
        found: list[Request] = [
            DeleteFile(path) if after is None else WriteFile(path, after) for path, _before, after in self.changes
        ]
        paths = tuple(path for path, _before, _after in self.changes)
        return found + [Reload(program, paths) for program in self.reloads]


@dataclass(frozen=True)
class SelfTest(Operation):
    """Run the program of the next boot once; it says nothing when it can do its work."""

    interpreter: str

    def __str__(self) -> str:
        return f"try the boot program with {self.interpreter}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [RunSelfTest(self.interpreter)]
