# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files


@pytest.fixture(autouse=True, params=[0, 0o077], ids=["open", "closed"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the umask of the process is makes no difference."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("permissions", [0o600, 0o644, 0o755])
def test_file(tmp_path: Path, permissions: int) -> None:
    """Content and mode are as given, also of a file that exists, and nothing is left beside it."""
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        atomic_files.write(str(path), content, permissions)
        assert (path.read_bytes(), mode(path)) == (content, permissions)
    assert os.listdir(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_it_replaces_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder afterwards: else a power failure can leave an empty file, or the old one."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        calls.append(f"fsync {os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        fsync(descriptor)

    def replaced(source: str, target: str) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(atomic_files.os, "fsync", synced)
    monkeypatch.setattr(atomic_files.os, "replace", replaced)
    atomic_files.write(str(tmp_path / "file"), b"x")
    assert calls == ["fsync .file.patchbay", "replace", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize("write", [partial(atomic_files.write, content=b"new"), partial(atomic_files.write_symlink, target="x")])
def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str], None]) -> None:
    """And nothing beside it."""
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_arguments: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(atomic_files.os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write(str(path))
    assert (os.listdir(tmp_path), path.read_text()) == (["file"], "old")


def test_interrupted_write(tmp_path: Path) -> None:
    """What a killed process left is no obstacle, is not followed, and is deleted with the file."""
    path, temporary, other = tmp_path / "file", tmp_path / ".file.patchbay", tmp_path / "other"
    other.write_text("other")
    temporary.symlink_to(other)
    atomic_files.write(str(path), b"new")
    assert (path.read_text(), other.read_text(), temporary.exists()) == ("new", "other", False)
    temporary.write_text("left")
    assert atomic_files.delete(str(path))
    assert os.listdir(tmp_path) == ["other"]
    assert not atomic_files.delete(str(path))


def test_folders(tmp_path: Path) -> None:
    """All that are made have the mode; one that exists keeps its own."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o711)
    for name, permissions in (("open", 0o755), ("private", 0o700)):
        atomic_files.make_folder(str(tmp_path / "old" / name / "deep"), permissions)
        assert mode(tmp_path / "old" / name) == mode(tmp_path / "old" / name / "deep") == permissions
    assert mode(tmp_path / "old") == 0o711
    assert not atomic_files.delete_folder_if_empty(str(tmp_path / "old"))
    assert atomic_files.delete_folder_if_empty(str(tmp_path / "old/open/deep"))


def test_text(tmp_path: Path) -> None:
    """None if there is nothing to read."""
    assert atomic_files.read_text(str(tmp_path)) is None
    assert atomic_files.read_text(str(tmp_path / "none")) is None
    (tmp_path / "file").write_bytes(b"a\xff")
    assert atomic_files.read_text(str(tmp_path / "file")) == "a\N{REPLACEMENT CHARACTER}"
