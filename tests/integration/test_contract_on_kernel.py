# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway contract on the real kernel, with the pyroute2 of .venv, and its messages with each other release."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec
from ansible_collections.patchbay.netdev.tests.integration import conversation
from ansible_collections.patchbay.netdev.tests.integration.conversation import Conversation
from ansible_collections.patchbay.netdev.tests.integration.host import ip_batch, make_netns, plug_in, remove_netns, settle
from ansible_collections.patchbay.netdev.tests.unit.contract_fixture import World
from ansible_collections.patchbay.netdev.tests.unit.gateway_contract import GatewayContract

ROOT = Path(__file__).resolve().parents[2]
RELEASES = [line.split()[0] for line in (ROOT / "tests/pyroute2.txt").read_text().splitlines() if not line.startswith("#")]
_numbers = itertools.count()
pytestmark = pytest.mark.xdist_group("contract")  # one worker runs this file, so that it records all messages


@pytest.fixture(scope="module", autouse=True)
def heard() -> Iterator[Conversation]:
    """Record all messages of this file for the last test."""
    found = Conversation()
    with found.recorded():
        yield found


class TestOnKernel(GatewayContract):
    """Each test has its own namespaces."""

    @pytest.fixture
    def world(self) -> Iterator[World]:
        """Create two cables to a third namespace, a bridge with a port, and an empty namespace."""
        here, other, wire = (f"{word}{next(_numbers)}" for word in ("here", "other", "wire"))
        try:
            make_netns(here, other, wire)
            ports = ("eth0", "eth1", "port0")
            plug_in(here, wire, *ports)
            for port in ports:
                settle(port, here)
            ip_batch(
                "link add br0 address 02:00:5e:00:00:b0 type bridge",
                "link set port0 master br0",
                "link set br0 up",
                netns=here,
            )
            settle("br0", here)
            with KernelGateway() as gateway:
                yield World(gateway, here, other)
        finally:
            remove_netns(here, other, wire)


def test_requested_release() -> None:
    """The tests of older releases really use them."""
    expected = os.environ.get("EXPECTED_PYROUTE2")
    found = str(sys.modules[_codec.Codec().link.__module__].__file__)
    assert expected is None or found.startswith(expected)


def run_with(release: str, *command: str) -> None:
    """Run a Python module, which must succeed, with the given release of pyroute2."""
    place = ROOT / ".work/pyroute2" / release
    assert place.is_dir(), f"{place} is not there: tests/environment test makes it"
    environment = {**os.environ, "PYTHONPATH": str(place), "EXPECTED_PYROUTE2": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


@pytest.mark.parametrize("release", RELEASES)
def test_other_releases_encode_and_decode_the_same(heard: Conversation, tmp_path: Path, release: str) -> None:
    """Another release encodes and decodes every recorded message equally, so it needs no run of its own."""
    assert heard.said, "nothing was said yet: run this file as a whole"
    assert heard.heard
    heard.write(tmp_path / "conversation")
    run_with(release, conversation.__name__, str(tmp_path / "conversation"))


@pytest.mark.parametrize("release", RELEASES)
def test_other_releases_on_the_kernel(release: str) -> None:
    """A few tests of each sort of message run on the kernel without recorded messages."""
    some = "asked_for or new_link_is_whole or new_pair or new_port or altnames or test_address or test_route"
    run_with(release, "pytest", "-q", "--no-header", str(Path(__file__).relative_to(ROOT)), "-k", some)
