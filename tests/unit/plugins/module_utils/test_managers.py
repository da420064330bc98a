# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What network managers report, without a network manager."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands, _networkd_reports
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _managers, _reload
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Reload

OWN = "/etc/systemd/network/05-patchbay-mv0.network"
TELL = Reload("networkd", (OWN,))


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What networkd logs while it reads its files."""
    lines: list[str] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        shown = "-- cursor: here\n" if "--show-cursor" in command else "\n".join(lines) if "--after-cursor" in command else ""
        return subprocess.CompletedProcess(command, 0, shown, "")

    monkeypatch.setattr(_commands.subprocess, "run", run)
    monkeypatch.setattr(_networkd_reports, "LINKS", str(tmp_path))
    monkeypatch.setattr(_managers, "_STEP", 0)
    monkeypatch.setattr(_managers, "_configures_link", lambda path: path == OWN)
    (tmp_path / "1").write_text("# private\nADMIN_STATE=configured\nADDRESS_STATE=routable\nNETWORK_FILE=/etc/x.network\n")
    return lines


def test_complaint(journal: list[str]) -> None:
    """The error has the line of the log."""
    journal += [
        "/etc/systemd/network/20-eth0.network:3: Unknown key 'Old' in section [Link], ignoring.",
        f"{OWN}:5: Unknown key 'Bogus' in section [Link], ignoring.",
    ]
    with pytest.raises(RequestFailed) as caught:
        _reload.reload(TELL)
    assert str(caught.value) == (
        f"systemd-networkd does not understand {OWN}:5: Unknown key 'Bogus' in section [Link], ignoring."
    )


def test_complaint_about_a_file_of_others(journal: list[str]) -> None:
    """It is no error, and neither is the line that names the file of the request."""
    journal += [
        "/etc/systemd/network/20-eth0.network:3: Unknown key 'Old' in section [Link], ignoring.",
        f"mv0: Reconfiguring with {OWN}.",
    ]
    _reload.reload(TELL)


def test_link_that_fails(journal: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that had failed before is no error."""
    states = [{"old"}, {"old", "eth0"}]
    monkeypatch.setattr(_managers, "_failed_links", lambda: states.pop(0))
    with pytest.raises(RequestFailed, match=r"could not set up eth0 with these files \(see: networkctl status eth0\)"):
        _reload.reload(TELL)
    assert journal == []


def test_links_that_networkd_manages(journal: list[str], tmp_path: Path) -> None:
    """Their files, and whether they have addresses, without unmanaged links."""
    assert journal == []
    state = BootState(managers=frozenset({"networkd"}), files={"/etc/x": File()})
    assert _managers.with_reports(state).governed == {"lo": ("/etc/x.network", True)}
    (tmp_path / "1").write_text("ADMIN_STATE=unmanaged\nNETWORK_FILE=/etc/x.network\n")
    assert _managers.with_reports(state).governed == {}


def test_netdev_files_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kinds of their links by name, without those of this collection."""
    (tmp_path / "10-br.netdev").write_text("# x\n[NetDev]\nName=br9\nKind=bridge\n")
    ours = tmp_path / "05-patchbay-br0.netdev"
    ours.write_text("[NetDev]\nName=br0\nKind=bridge\n")
    monkeypatch.setattr(_managers, "_NETDEVS", (f"{tmp_path}/*.netdev",))
    assert _managers._foreign_netdevs({str(ours)}) == {"br9": "bridge"}


def test_link_that_networkd_releases(journal: list[str], tmp_path: Path) -> None:
    """networkd answers before it releases the link, so its report is awaited, but not for ever."""
    (tmp_path / "1").write_text(f"ADMIN_STATE=configured\nNETWORK_FILE={OWN}\n")
    observations = []
    original = _managers._managed_links

    def links() -> dict[str, dict[str, str]]:
        observations.append(1)
        if len(observations) == 3:
            (tmp_path / "1").write_text("ADMIN_STATE=unmanaged\n")
        return original()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_managers, "_managed_links", links)
        patch.setattr(_managers, "_configures_link", lambda _path: False)
        _reload.reload(Reload("networkd"))
    assert len(observations) == 3
    (tmp_path / "1").write_text(f"ADMIN_STATE=configured\nNETWORK_FILE={OWN}\n")
    _reload.reload(Reload("networkd"))
    assert journal == []
