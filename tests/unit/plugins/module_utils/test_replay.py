# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the next boot: what it does in which order, and what it says, with a loop of its own in place of the kernel."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import to_text
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _replay
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredNetns, LinkPolicy
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, MissingLibrary
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey, NetnsKey


@dataclass
class Kernel:
    """A converge of its own. needs: what a link needs beside it; broken: what cannot be made, whatever is there."""

    needs: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    there: list[str] = field(default_factory=list)
    runs: list[list[str]] = field(default_factory=list)
    installed: bool = True

    def converge(self, _gateway: Any, items: Sequence[DesiredLink], apply: bool, allow_lockout: bool) -> Any:
        """All of the items, or none."""
        assert allow_lockout  # at boot there is nobody to lock out
        names = [item.key.name for item in items]
        self.runs.append(names)
        for name in names:
            if name in self.broken:
                raise struct_error(name)
            if self.needs.get(name, name) not in [*self.there, *names]:
                raise Missing(f"{name}: {self.needs[name]} is not there", "Create it first")
        new = [name for name in names if name not in self.there]
        if apply:
            self.there += new
        return SimpleNamespace(plan=SimpleNamespace(operations=[f"create {name}" for name in new]))

    @contextlib.contextmanager
    def gateway(self) -> Any:
        """As the real one is opened."""
        if not self.installed:
            raise MissingLibrary("pyroute2 cannot be imported: no")
        yield self


def struct_error(name: str) -> Exception:
    """What some bad values come to: no sentence of ours."""
    return ValueError(f"{name} is odd")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    """In place of the kernel, with a folder of declarations and a lock of its own."""
    made = Kernel()
    monkeypatch.setattr(_replay, "converge", made.converge)
    monkeypatch.setattr(_replay, "KernelGateway", made.gateway)
    monkeypatch.setattr(_replay, "FOLDER", str(tmp_path))
    monkeypatch.setattr(_replay, "locked", contextlib.nullcontext)
    return made


def declare(folder: Path, *names: str, kind: str = "dummy") -> None:
    """Links with nothing but their names."""
    for name in names:
        item = DesiredLink(LinkKey("", name), kind, True)
        (folder / f"link-{name}.json").write_text(to_text(item), encoding="utf-8")


@pytest.fixture
def run(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """(exit status, lines) of the program with these words."""

    def one(*words: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["replay.pyz", *words])
        status = _replay.main()
        captured = capsys.readouterr()
        assert captured.out == ""
        return status, captured.err.splitlines()

    return one


def test_nothing_is_declared(run: Any) -> None:
    """Then nothing is restored."""
    assert run() == (0, [])
    assert run("--check") == (0, [])


def test_terminal_gets_no_priorities(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the journal reads them."""
    declare(tmp_path, "a")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run("--check") == (2, ["differs: to create a"])


def test_all_objects_are_restored_together(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """With one observation of the kernel; a second run has nothing to do."""
    declare(tmp_path, "a", "b")
    assert run("--check") == (2, ["<6>differs: to create a", "<6>differs: to create b"])
    assert kernel.there == []
    assert run() == (0, ["<6>create a", "<6>create b"])
    assert run() == (0, [])
    assert run("--check") == (0, [])
    assert kernel.runs == [["a", "b"]] * 4


def test_failure_keeps_no_other_object_from_being_restored(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """The file is named, and the unit fails."""
    declare(tmp_path, "a", "b", "c")
    kernel.broken = {"b"}
    assert run() == (1, ["<6>create a", f"<3>failed: {tmp_path}/link-b.json: b is odd", "<6>create c"])
    assert kernel.there == ["a", "c"]
    assert run("--check") == (1, [f"<3>failed: {tmp_path}/link-b.json: b is odd"])


def test_damaged_file_keeps_no_other_object_from_being_restored(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """In check mode too."""
    declare(tmp_path, "a")
    (tmp_path / "link-b.json").write_text("{", encoding="utf-8")
    status, lines = run("--check")
    assert status == 1
    assert lines[0].startswith(f"<3>failed: {tmp_path}/link-b.json: the declaration is damaged (")
    assert lines[1:] == ["<6>differs: to create a"]
    assert run()[0] == 1
    assert kernel.there == ["a"]


def test_bytes_that_are_no_text(run: Any, tmp_path: Path) -> None:
    """The file is damaged, and the others are restored."""
    (tmp_path / "link-b.json").write_bytes(b"\xff\xfe\x00")
    status, (line,) = run()
    assert status == 1
    assert "the declaration is damaged" in line


def test_waiting_is_no_failure(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """At boot a lower device may appear later; for --check it is a difference."""
    declare(tmp_path, "a", "b")
    kernel.needs = {"b": "eth9"}
    waiting = f"<4>waiting: {tmp_path}/link-b.json: b: eth9 is not there. Create it first"
    assert run() == (0, ["<6>create a", waiting])
    assert run("--check") == (2, [waiting])
    kernel.there.append("eth9")
    assert run() == (0, ["<6>create b"])
    assert run("--check") == (0, [])


def test_objects_are_tried_again(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """As long as others were restored, whatever the files are called: here each object needs the next one."""
    declare(tmp_path, "a", "b", "c", "odd")
    kernel.needs, kernel.broken = {"a": "b", "b": "c"}, {"odd"}
    status, lines = run()
    assert status == 1
    assert kernel.there == ["c", "b", "a"]
    assert [line for line in lines if "waiting" in line] == []


def test_objects_are_restored_in_the_order_of_creation(kernel: Kernel, run: Any, tmp_path: Path) -> None:
    """A namespace before what is in it."""
    declare(tmp_path, "a", kind="macvtap")
    declare(tmp_path, "b", kind="bridge")
    declare(tmp_path, "odd")
    (tmp_path / "netns-z.json").write_text(to_text(DesiredNetns(NetnsKey("z"), True)), encoding="utf-8")
    kernel.broken = {"odd"}
    run()
    assert kernel.there == ["z", "b", "a"]


def test_missing_library_is_an_error(kernel: Kernel, run: Any) -> None:
    """Also when nothing is declared yet: the self-test of a task has to find it."""
    kernel.installed = False
    assert run("--check") == (1, ["<3>pyroute2 cannot be imported: no"])


def test_unknown_arguments_show_the_usage(run: Any) -> None:
    """Show what there is."""
    status, lines = run("--chek")
    assert status == 1
    assert any("replay.pyz --check" in line for line in lines)


def test_lower_device_may_be_down_at_boot(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the managers start, nobody has brought the lower device up."""
    seen: list[DesiredLink] = []

    def converge(_gateway: Any, items: Sequence[DesiredLink], *_words: Any, **_more: Any) -> Any:
        seen.extend(items)
        return SimpleNamespace(plan=SimpleNamespace(operations=()))

    monkeypatch.setattr(_replay, "converge", converge)
    for state in ("require", "up"):
        policy = LinkPolicy(lower_device_state=state)
        item = DesiredLink(LinkKey("", state), "macvlan", True, {"lower_device": LinkKey("", "eth0")}, policy=policy)
        (tmp_path / f"{state}.json").write_text(to_text(item), encoding="utf-8")
    assert run()[0] == 0
    assert {item.key.name: item.policy.lower_device_state for item in seen} == {"require": None, "up": "up"}
