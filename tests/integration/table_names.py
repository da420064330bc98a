# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of routing tables for the duration of a test, in the sandbox's own mount of /etc/iproute2."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDER = "/etc/iproute2/rt_tables.d"


@contextlib.contextmanager
def named_tables(folder: Path, names: Mapping[str, int]) -> Iterator[None]:
    """Create the file in which iproute2 and the modules look up names. folder: a folder for the file."""
    (folder / "own.conf").write_text("# for a test\n" + "".join(f"{number}\t{name}\n" for name, number in names.items()))
    subprocess.run(["mount", "--bind", str(folder), FOLDER], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", FOLDER], check=True)
