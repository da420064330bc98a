# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook of DHCP clients: which events are planned, what the record holds before and after, and what a renewal imports."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _lease_address
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _dhcp_hook, _lease_plan
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease, record_path
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import recorded
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import lease_from_json, lease_to_json
from ansible_collections.patchbay.netdev.tests.unit.plugins.module_utils.test_lease import LEASE, UDHCPC

FRESH: dict[str, Any] = {
    "netns": "",
    "link": "ve1",
    "namespace": [4, 1],
    "index": 7,
    "address": "02:00:00:00:00:01",
    "options": recorded(Dhcp4()),
    "command": ["udhcpc"],
    "networkd": None,
    "folders": [],
    "places": {},
    "resolver": "",
    "lease": None,
    "former": [],
    "settled": False,
    "expires": None,
}
BOUND = {**FRESH, "lease": json.loads(json.dumps(lease_to_json(LEASE))), "settled": True, "expires": 2000.0}
NOW = 1000.0


@dataclass
class Host:
    """The environment of the hook: a record, a clock, and in place of the engine a list of its calls."""

    path: Path
    now: float = NOW
    usable: bool = True
    planned: list[dict[str, Any]] = field(default_factory=list)
    renewed: list[Lease] = field(default_factory=list)
    route_checks: list[bool] = field(default_factory=list)
    refuses: bool = False

    def known(self) -> dict[str, Any]:
        """The record."""
        found = _client_records.read(str(self.path))
        assert found is not None
        return found

    def apply(self, record: dict[str, Any]) -> list[str]:
        """Stand in for the engine."""
        assert self.known() == {"format": 1, **json.loads(json.dumps(record))}
        self.planned.append(dict(record))
        if self.refuses:
            raise Refused("no")
        return ["set ve1"]

    def is_usable(self, _lease: Lease, with_routes: bool) -> bool:
        """Stand in for the kernel, which knows an address and the routes from it."""
        self.route_checks.append(with_routes)
        return self.usable

    def renew(self, _link: str, lease: Lease) -> bool:
        """Stand in for the kernel, which gives an address a new lifetime."""
        self.renewed.append(lease)
        return True

    def hears(self, event: str, **changes: str) -> int:
        """The exit status after one event."""
        return _dhcp_hook.main([event], {**UDHCPC, **changes, "PATCHBAY_CLIENT": str(self.path)})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """A host where the hook runs."""
    made = Host(tmp_path / "ve1.json")
    monkeypatch.setattr(_client_records, "FOLDER", str(tmp_path))
    monkeypatch.setattr(_lease_address, "is_usable", made.is_usable)
    monkeypatch.setattr(_lease_address, "renew", made.renew)
    monkeypatch.setattr(_client_records.time, "clock_gettime", lambda _clock: made.now)
    monkeypatch.setattr(_dhcp_hook, "locked", contextlib.nullcontext)
    monkeypatch.setattr(_lease_plan, "apply", made.apply)
    return made


def test_first_lease(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """The record has it before it is planned, and is settled afterwards."""
    _client_records.write(str(host.path), FRESH)
    assert host.hears("bound") == 0
    (planned,) = host.planned
    assert (lease_from_json(planned["lease"]), planned["former"], planned["settled"]) == (LEASE, [], False)
    assert host.known() == {**BOUND, "format": 1, "expires": NOW + 120}
    assert capsys.readouterr() == ("", "<6>set ve1\n")


@pytest.mark.parametrize(("known", "loaded"), [(FRESH, True), (BOUND, False), ({**BOUND, "settled": False}, True)])
def test_engine_is_imported_before_the_lock_is_taken(
    host: Host, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], loaded: bool
) -> None:
    """Else all other hooks would wait for the import. A renewal imports no engine."""
    seen: list[bool] = []

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        seen.append(_lease_plan.__name__ in sys.modules)
        yield

    monkeypatch.setattr(_dhcp_hook, "locked", locked)
    monkeypatch.delitem(sys.modules, _lease_plan.__name__)
    monkeypatch.delattr(sys.modules[_lease_plan.__package__ or ""], "_lease_plan")
    monkeypatch.setattr(KernelGateway, "__init__", lambda *_arguments, **_options: pytest.fail("the real engine was asked"))
    _client_records.write(str(host.path), known)
    with contextlib.suppress(pytest.fail.Exception):
        host.hears("bound")
    assert seen == [loaded]


def test_renewal(host: Host) -> None:
    """It sets the new lifetime, and nothing is planned."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("renew", lease="600") == 0
    assert host.planned == []
    assert [lease.seconds for lease in host.renewed] == [600]
    assert host.known()["expires"] == NOW + 600
    assert lease_from_json(host.known()["lease"]) == Lease(**{**vars(LEASE), "seconds": 600})


def test_renewal_of_a_lease_whose_address_or_routes_are_gone(host: Host) -> None:
    """The lease is planned again; it is no former one, and the existing address gets the new lifetime."""
    _client_records.write(str(host.path), BOUND)
    host.usable = False
    assert host.hears("renew", lease="600") == 0
    assert [lease.seconds for lease in host.renewed] == [600]
    (planned,) = host.planned
    assert planned["former"] == []
    assert host.known()["settled"] is True


def test_renewal_of_a_lease_that_was_not_applied(host: Host) -> None:
    """It is planned again."""
    _client_records.write(str(host.path), {**BOUND, "settled": False})
    assert host.hears("renew") == 0
    assert len(host.planned) == 1


def test_renewal_with_another_router(host: Host) -> None:
    """It is planned, and the unchanged address gets the new lifetime."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("renew", router="192.0.2.9", lease="600") == 0
    assert len(host.planned) == 1
    assert [lease.seconds for lease in host.renewed] == [600]


def test_only_own_routes_are_checked(host: Host) -> None:
    """Without a table or routes of the lease, gateways need not be reachable."""
    table = SourceRouting(101, 1101)
    for options in (
        Dhcp4(),
        Dhcp4(source_routing=table, use_routes=False),
        Dhcp4(source_routing=table),
        Dhcp4(use_main_table=True),
    ):
        _client_records.write(str(host.path), {**BOUND, "options": recorded(options)})
        assert host.hears("renew") == 0
    assert host.route_checks == [False, False, True, True]
    assert host.planned == []


def test_another_lease(host: Host) -> None:
    """The old lease is a former one until the plan is applied."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("renew", ip="192.0.2.9") == 0
    (planned,) = host.planned
    assert host.renewed == []  # its lifetime is new
    assert [lease_from_json(one) for one in planned["former"]] == [LEASE]
    assert planned["lease"]["ip"] == "192.0.2.9"
    assert (host.known()["former"], host.known()["settled"]) == ([], True)


def test_failure_keeps_former_leases(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """The next event plans their removal."""
    _client_records.write(str(host.path), BOUND)
    host.refuses = True
    assert host.hears("renew", ip="192.0.2.9") == 0
    assert "<3>failed: no\n" in capsys.readouterr().err
    assert host.hears("renew", ip="192.0.2.10") == 0
    assert [one["ip"] for one in host.known()["former"]] == ["192.0.2.164", "192.0.2.9"]
    assert host.known()["settled"] is False


def test_client_that_starts(host: Host) -> None:
    """It sends deconfig, and the lease of its predecessor stays valid."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("deconfig") == 0
    assert host.planned == []
    assert host.known() == {**BOUND, "format": 1}


def test_expired_lease(host: Host) -> None:
    """It is a former lease, and the link has none."""
    _client_records.write(str(host.path), BOUND)
    host.now = 2000.0
    assert host.hears("deconfig") == 0
    (planned,) = host.planned
    assert (planned["lease"], [lease_from_json(one) for one in planned["former"]]) == (None, [LEASE])
    assert (host.known()["lease"], host.known()["former"], host.known()["settled"]) == (None, [], False)
    assert host.hears("leasefail") == 0
    assert len(host.planned) == 1


def test_nak(host: Host) -> None:
    """The lease is lost at once, even if it has not expired."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("nak") == 0
    assert host.known()["lease"] is None


def test_malformed_lease(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """It changes nothing."""
    _client_records.write(str(host.path), BOUND)
    assert host.hears("renew", ip="192.0.2") == 0
    assert capsys.readouterr().err == "<3>failed: '192.0.2' is not an IPv4 address\n"
    assert host.known() == {**BOUND, "format": 1}


def test_client_that_ends(host: Host) -> None:
    """Its record is gone, and is not created again."""
    assert host.hears("bound") == 0
    assert not host.path.exists()


def test_call_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says who runs the hook."""
    assert _dhcp_hook.main(["bound"], {}) == 1
    assert "PATCHBAY_CLIENT" in capsys.readouterr().err


def test_record_of_another_release(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be read, and the log says what to do."""
    for text in ("", "{}", "[1]", '{"format": 2}'):
        host.path.write_text(text, encoding="utf-8")
        assert _client_records.read(str(host.path)) is None
        assert host.hears("renew") == 0
        assert "was written by another release" in capsys.readouterr().err
        assert host.path.read_text(encoding="utf-8") == text
    _client_records.write(str(host.path), FRESH)
    assert host.path.stat().st_mode & 0o777 == 0o600


def test_folders_are_for_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the umask is: a user who could write there would choose what root runs."""
    monkeypatch.setattr(_client_records, "FOLDER", str(tmp_path / "patchbay/dhcp"))
    umask = os.umask(0)
    try:
        _client_records.write(f"{_client_records.FOLDER}/ve1.json", FRESH)
    finally:
        os.umask(umask)
    modes = [(tmp_path / place).stat().st_mode & 0o777 for place in ("patchbay", "patchbay/dhcp", "patchbay/dhcp/ve1.json")]
    assert modes == [0o755, 0o700, 0o600]


def test_records_are_named_after_links() -> None:
    """Each link has its own record."""
    names = [record_path(*place) for place in (("", "a@b"), ("a", "b"), ("", "a%40b"), ("a@b", "c"), ("", "${a}"))]
    assert names == [f"/run/patchbay/dhcp/{name}.json" for name in ("a%40b", "a@b", "a%2540b", "a%40b@c", "%24{a}")]


def test_renewal_imports_next_to_nothing() -> None:
    """Each module of the engine costs every renewal milliseconds."""
    script = f"import sys, {_dhcp_hook.__name__}\nprint(*sorted(name for name in sys.modules if 'module_utils.' in name))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = [name.partition("module_utils.")[2] for name in done.stdout.split()]
    folders = {"_gateway", "_gateway.dhcp", "_gateway.host", "_gateway.kernel", "_host_program", "_model", "_values"}
    assert set(loaded) - folders == {
        "_gateway._atomic_files",
        "_gateway.dhcp._client_records",
        "_gateway.host._lock",
        "_gateway.kernel._lease_address",
        "_gateway.kernel._netlink",
        "_host_program._dhcp_hook",
        "_model._errors",
        "_model._file_names",
        "_model._ip",
        "_model._lease",
        "_values._lease",
    }
