# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host part of the gateway: files in an unexpected state, the lock, and programs that do not run."""

from __future__ import annotations

import os
import stat
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _boot_files, _lock, _reload
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Reload, WriteFile


def test_folder_in_the_place_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "link-x.json").mkdir()
    monkeypatch.setattr(_boot_files, "_OURS", (f"{tmp_path}/*.json",))
    with pytest.raises(RequestFailed, match=r"link-x\.json, a file for the next boot, cannot be read: Is a directory\. Repair"):
        _boot_files.boot_state()


def test_lock_is_for_root_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user who can read it can hold it, and every task and the boot would wait."""
    monkeypatch.setattr(_lock, "LOCK", str(tmp_path / "lock"))
    before = os.umask(0)
    try:
        with _lock.locked():
            assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_lock_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says why."""
    monkeypatch.setattr(_lock, "LOCK", str(tmp_path))
    with pytest.raises(RequestFailed, match=r"cannot be opened: Is a directory\. Set become: true"), _lock.locked():
        raise AssertionError


@pytest.mark.parametrize("error", [zlib.error("bad"), NotImplementedError("method"), RuntimeError("encrypted"), EOFError()])
def test_release_of_a_damaged_program(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever error the archive raises, the program counts as absent, so it is written again."""

    def fail(*_words: Any) -> None:
        raise error

    monkeypatch.setattr(_boot_files.zipfile, "ZipFile", fail)
    assert _boot_files._release(File(b"PK")) == ()


def test_symbolic_link_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """It fails and leaves nothing beside it, and what a killed process left is no obstacle."""
    (tmp_path / ".link.patchbay").symlink_to("elsewhere")
    (tmp_path / "link").mkdir()
    with pytest.raises(OSError, match="directory"):
        _boot_files.write(WriteFile(f"{tmp_path}/link", File(link="target")))
    assert os.listdir(tmp_path) == ["link"]


@pytest.mark.parametrize(
    ("program", "status", "commands"),
    [
        ("networkd", 0, [["networkctl", "reload"]]),
        ("networkd", 3, []),
        ("networkmanager", 0, [["nmcli", "general", "reload", "conf"]]),
        ("networkmanager", 3, []),
    ],
)
def test_stopped_manager_is_not_reloaded(
    monkeypatch: pytest.MonkeyPatch, program: str, status: int, commands: list[list[str]]
) -> None:
    """Its command would fail, or start it."""
    executed: list[list[str]] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        if "is-active" in command:
            return subprocess.CompletedProcess(command, status, "", "")
        executed.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(_commands.subprocess, "run", run)
    _reload.reload(Reload(program))
    assert executed == commands
