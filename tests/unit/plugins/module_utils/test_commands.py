# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a program of the host."""

from __future__ import annotations

import errno
import sys

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed


def python(code: str) -> list[str]:
    """The command that runs this code."""
    return [sys.executable, "-c", code]


def test_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program gets nothing of the caller's environment: a DHCP client passes texts of its server to its hook."""
    monkeypatch.setenv("new_domain_name", "x")
    monkeypatch.setenv("PATH", "/nowhere")
    shown = commands.run(python("import os; print(sorted(os.environ)); print(os.environ['PATH'])"))
    assert shown == f"['LC_ALL', 'PATH']\n{commands.PATH}\n"


def test_program_is_found_by_the_fixed_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by that of the caller."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert commands.run(["true"]) == ""


def test_input_and_output() -> None:
    """Bytes that are no UTF-8 do no harm."""
    assert commands.run(["cat"], "a\nb") == "a\nb"
    assert commands.attempt(python("import os; os.write(1, b'\\xff'); raise SystemExit(3)")).returncode == 3
    assert commands.run(python("import os; os.write(1, b'\\xff')")) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import sys; print('out'); sys.exit('err')", "err"),
        ("print('out'); raise SystemExit(4)", "out"),
        ("raise SystemExit(4)", "exit status 4"),
    ],
)
def test_command_that_fails(code: str, text: str) -> None:
    """The message has what the command printed, or its exit status."""
    command = python(code)
    with pytest.raises(RequestFailed) as caught:
        commands.run(command)
    assert str(caught.value) == f"{' '.join(command)} failed: {text}"


def test_command_that_does_not_exist() -> None:
    """The error has the errno."""
    with pytest.raises(RequestFailed, match=r"^no-such-program x cannot be run: No such file or directory$") as caught:
        commands.attempt(["no-such-program", "x"])
    assert caught.value.errno == errno.ENOENT


def test_command_that_does_not_end() -> None:
    """It is killed."""
    with pytest.raises(RequestFailed, match=r"^sleep 9 did not end within 0\.05 s$"):
        commands.run(["sleep", "9"], seconds=0.05)
