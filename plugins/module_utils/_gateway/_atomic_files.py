# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written whole or not at all: readers see the old content or the new, also after a power failure.

A DHCP hook imports this at each renewal, so it imports nothing but os.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # for root alone


def read_text(path: str) -> str | None:
    """The text of a file; None if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def write(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file that has this mode whatever the umask is, in a folder that exists."""

    def create(temporary: str) -> None:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())

    _replace(path, create)


def write_symlink(path: str, target: str) -> None:
    """Write a symbolic link, in a folder that exists."""
    _replace(path, lambda temporary: os.symlink(target, temporary))


def _replace(path: str, create: Callable[[str], None]) -> None:
    temporary = _temporary(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of a process that was killed
    try:
        create(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _temporary(path: str) -> str:
    """Hidden, so that no program that reads the folder takes it for one of its files."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name}.patchbay"


def delete(path: str) -> bool:
    """Delete a file, and what an interrupted write of it left; whether the file existed."""
    existed = False
    for file_path in (_temporary(path), path):
        existed = True
        try:
            os.unlink(file_path)
        except FileNotFoundError:
            existed = False
    return existed


def make_folder(folder: str, mode: int = 0o755) -> None:
    """Make a folder, and those above it, whatever the umask is: root reads and runs what lies in there."""
    if os.path.isdir(folder):
        return
    make_folder(os.path.dirname(folder), mode)
    os.mkdir(folder, mode=PRIVATE_FOLDER)
    os.chmod(folder, mode)


def delete_folder_if_empty(folder: str) -> bool:
    """Whether a folder was empty and has been deleted."""
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True
