# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans with many operations that fail at each request in turn, on the real kernel: everything is rolled back."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import ApplyFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewLink, RemoveLinks, Request, SetLink
from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, enter, ip

REFUSED_BY_KERNEL = SetLink(LinkKey("", "eth0"), "veth", {"mtu": 1})  # below the minimum of each link
REFUSALS = ("mtu less than device minimum", "Numerical result out of range")  # of the mtu and of the cost of a port
PORT_NAMES = {attribute.name for attribute in PORT}


class Saboteur(KernelGateway):
    """The real gateway, which makes the kernel refuse one request.

    halfway: a change of a link is refused in its middle, so that the kernel keeps its first part. Otherwise an impossible request
    is sent before the request. apart: links are deleted one by one, which does not count as a request.
    """

    def __init__(self, place: int, halfway: bool, apart: bool = False) -> None:
        super().__init__()
        self.place, self.halfway, self.apart, self.sent = place, halfway, apart, 0

    def execute(self, request: Request) -> None:
        """Count the requests, and make one fail."""
        if self.apart and isinstance(request, RemoveLinks):
            super().execute(REFUSED_BY_KERNEL)
        self.sent += 1
        if self.sent == self.place:
            self.place += isinstance(request, RemoveLinks)  # if it is refused, the links are deleted one by one
            if self.halfway and isinstance(request, SetLink):
                port = request.kind != "bridge" and request.attributes.keys() & PORT_NAMES
                spoiled = {"cost": 0} if port else {"mtu": 1}  # attributes that the kernel processes last
                request = replace(request, attributes={**request.attributes, **spoiled})
            else:
                super().execute(REFUSED_BY_KERNEL)
        super().execute(request)


def in_host(netns: str, work: Callable[[], Any]) -> Any:
    """Return the result of `work` from a process in this namespace."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter(netns)
            answer: Any = work()
        except BaseException as error:
            traceback.print_exc()
            answer = error
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        found = pickle.loads(output.read())
    os.waitpid(child, 0)
    if isinstance(found, BaseException):
        raise found
    return found


def entry(name: str, **options: Any) -> dict[str, Any]:
    """Return an entry of topology."""
    return {"name": name, "state": "present", "recreate": "when_required", **options}


def mac(number: int) -> str:
    """Return a MAC address for tests."""
    return f"02:00:00:00:00:{number:02x}"


def twenty(host: Host) -> tuple[Desired, ...]:
    """Create a host with links of each kind, and return 20 operations: create, change, recreate, delete."""
    host.ip("link", "add", "br0", "address", mac(0xB0), "type", "bridge")  # down: its first carrier would change it permanently
    kinds = {f"old{number}": {"address": mac(number), "mode": "bridge", "admin_state": "up"} for number in range(8)}
    kinds["old1"].update(mode="source", source_addresses=[mac(99), mac(98)], nodst=True)
    kinds["old2"].update(alias="an alias", altnames=["another name"], sysctls={"ipv4.arp_ignore": 1}, bc_cutoff=7)
    kinds["old3"].update(mtu=1400, tx_queue_len=5, group="3", address_generation_mode="none")
    host.apply("topology", macvlan=[entry(name, lower_device="eth0", **options) for name, options in kinds.items()])
    host.apply("macvlan", name="alone", lower_device="eth1", mode="passthru", admin_state="up")
    for number in range(8):
        host.ip("address", "add", f"192.0.2.{number + 1}/32", "dev", f"old{number}")
        host.ip("address", "add", f"2001:db8::{number + 1}/128", "dev", f"old{number}")
    host.ip("route", "add", "198.51.100.0/24", "dev", "old4", "src", "192.0.2.5", "table", "77")
    host.ip("route", "add", "203.0.113.0/24", "via", "198.51.100.9", "dev", "old5", "onlink", "mtu", "1300")
    host.ip("-6", "route", "add", "2001:db8:1::/64", "dev", "old6", "metric", "50")
    entries = [
        entry("old0", state="absent"),
        entry("old7", state="absent"),
        entry("new0", lower_device="eth0", mode="bridge", address=mac(0x20), admin_state="up"),
        entry("new1", lower_device="eth0", netns="guest", alias="far", altnames=["a far name"], sysctls={"ipv4.arp_ignore": 1}),
        entry("new2", lower_device="eth0", mode="source", source_addresses=[mac(97)], bc_cutoff=2),
        entry("new3", lower_device="eth0", controller="br0", admin_state="up"),
        entry("old1", mode="vepa", nodst=False),
        entry("old2", alias="", altnames=["third name"], sysctls={"ipv4.arp_ignore": 2}, bc_queue_len=5),
        entry("old3", mtu=1500, tx_queue_len=6, group="0", address_generation_mode="eui64", promiscuous=True),
        entry("old4", admin_state="down", address=mac(0x24)),
        entry("old5", lower_device="eth2"),
        entry("old6", num_tx_queues=2, mtu=1300),
        entry("alone", nopromisc=True, address=mac(0x31)),
        entry("new4", lower_device="eth0", lower_device_state="up"),
        entry("new5", lower_device="eth2", lower_device_state="up", mode="private"),
    ]
    host.ip("link", "add", "eth2", "type", "veth", "peer", "name", "eth2", "netns", f"{host.netns}-wire")
    ip("link", "set", "eth2", "up", netns=f"{host.netns}-wire")
    for state in ("up", "down"):  # a link that was never up has a queueing discipline that cannot be restored
        host.ip("link", "set", "eth2", state)
    return desired_topology({"macvlan": entries})


def run(items: Sequence[Desired], place: int, halfway: bool, apart: bool = False) -> tuple[list[str], list[str], int]:
    """Converge with a saboteur, and return the message, what was not rolled back, and the number of requests."""
    with Saboteur(place, halfway, apart) as gateway:
        try:
            result = converge(gateway, items, apply=True)
        except ApplyFailed as error:
            return [str(error)], error.not_undone, gateway.sent
        return [str(operation) for operation in result.plan.operations], [], gateway.sent


@pytest.mark.parametrize("halfway", [False, True], ids=["between requests", "in the middle of a request"])
def test_twenty_operations(host: Host, halfway: bool) -> None:
    """Wherever the plan fails, the host is restored, and the error says so."""
    assert len(fail_everywhere(host, twenty(host), halfway)) >= 20


def test_deletions_one_by_one(host: Host) -> None:
    """If the kernel refuses one of several deletions, the links deleted before are restored."""
    names = ["old0", "old1", "old2", "old3"]
    options = {"lower_device": "eth0", "mode": "bridge", "admin_state": "up"}
    macs = {name: mac(number) for number, name in enumerate(names)}
    host.apply("topology", macvlan=[entry(name, address=macs[name], alias=f"alias of {name}", **options) for name in names])
    for number, name in enumerate(names):
        host.ip("address", "add", f"192.0.2.{number + 1}/32", "dev", name)
    told = fail_everywhere(
        host, desired_topology({"macvlan": [entry(name, state="absent") for name in names]}), False, apart=True
    )
    assert told == [f"delete {name}" for name in names]
    assert [host.link(name) for name in names] == [{}] * 4


def fail_everywhere(host: Host, items: Sequence[Desired], halfway: bool, apart: bool = False) -> list[str]:
    """Make each request of a plan fail in turn, then none, and return the operations of the plan."""
    namespaces = [host.netns, "guest"]
    before = dump(namespaces)
    place = 1
    while len(told := (answer := in_host(host.netns, partial(run, items, place, halfway, apart)))[0]) == 1:
        assert answer[1] == [], told
        assert any(text in told[0] for text in REFUSALS), told
        assert told[0].endswith("All changes were rolled back")
        assert_equal(dump(namespaces), before, told)
        place += 1
    assert place >= len(told), "each operation has a request at least, and each of them failed once"
    return told


def cabled(host: Host) -> tuple[Desired, ...]:
    """Create bridges, pairs across namespaces and a macvlan on an end. Return operations that change, rename and delete them."""
    host.apply(
        "topology",
        # down and with their own MAC addresses, because a bridge updates values from its ports later
        bridge=[{"name": f"br{number}", "address": mac(0xB0 + number), "alias": f"bridge {number}"} for number in range(3)],
        veth=[
            {
                "name": f"old{number}",
                "address": mac(number),
                "mtu": 1400,
                "alias": "near",
                "peer": {"name": "far", "netns": "guest", "address": mac(0x10), "alias": "far end", "altnames": ["far away"]}
                if number == 0
                else {"name": f"end{number}", "address": mac(0x10 + number)},
            }
            for number in range(4)
        ],
        macvlan=[{"name": "mv0", "lower_device": "end3", "address": mac(0x20), "mode": "bridge"}],
        bridge_port=[
            {"port": "old0", "bridge": "br0", "isolated": True, "priority": 5, "cost": 9},
            {"port": "old1", "bridge": "br0", "locked": True, "mab": True, "multicast_max_groups": 3},
            {"port": "end1", "bridge": "br2", "hairpin": True, "backup_port": ""},
        ],
    )
    host.ip("address", "add", "192.0.2.1/32", "dev", "old2")
    host.ip("address", "add", "192.0.2.3/32", "dev", "mv0")
    ip("address", "add", "192.0.2.2/32", "dev", "far", netns="guest")
    return desired_topology(
        {
            "bridge": [
                entry("br2", state="absent"),
                entry("br1", forward_delay=4, group_fwd_mask=8, alias=""),
                entry("br3", address=mac(0xB3), stp_state=True, forward_delay=5, alias="new", admin_state="up"),
            ],
            "veth": [
                entry(
                    "new0",
                    address=mac(0x30),
                    alias="new",
                    controller="br0",
                    peer={"name": "new0", "netns": "guest", "address": mac(0x31), "alias": "new too", "admin_state": "up"},
                ),
                entry("new1", alias="short", peer={"name": "new2", "address": mac(0x33)}),
                entry("old0", alias="", peer={"name": "renamed", "netns": "guest", "mtu": 1300}),
                entry("old2", peer={"name": "end2", "netns": "guest"}),
                entry("old3", mtu=1450, peer={"name": "end3", "mtu": 1350, "alias": "changed"}),
            ],
            "macvlan": [
                entry("mv0", mode="private"),
                entry("mv1", lower_device="new1", address=mac(0x32), alias="on an end", controller="br1"),
            ],
            "link": [entry("eth1", alias="card", tx_queue_len=5)],
            "bridge_port": [
                {"port": "old0", "bridge": "br1", "hairpin": True},
                {"port": "old1", "hairpin": True, "mab": False, "locked": False, "learning": False},
                {"port": "end1", "state": "absent"},
            ],
        }
    )


@pytest.mark.parametrize("halfway", [False, True], ids=["between requests", "in the middle of a request"])
def test_cables_and_bridges(host: Host, halfway: bool) -> None:
    """The same for pairs, bridges and their ports."""
    told = fail_everywhere(host, cabled(host), halfway)
    for words in ("create br3", "delete br2", "create new0: veth", "delete old2", "rename far in netns guest to renamed"):
        assert any(sentence.startswith(words) for sentence in told), (words, told)


def test_incomplete_rollback_is_reported(host: Host) -> None:
    """If another program takes the name of a deleted link, the error names what is not restored."""
    host.apply("macvlan", name="mv0", lower_device="eth0", alias="mine")

    class Intruder(KernelGateway):
        done = False

        def execute(self, request: Request) -> None:
            if isinstance(request, NewLink) and not self.done:
                self.done = True
                ip("link", "add", "mv0", "type", "bridge", netns=host.netns)
            super().execute(request)

    def work() -> tuple[str, list[str]]:
        items = desired_topology({"macvlan": [entry("mv0", mode="passthru")]})
        with Intruder() as gateway, pytest.raises(ApplyFailed) as caught:
            converge(gateway, items, apply=True)
        return str(caught.value), caught.value.not_undone

    told, left = in_host(host.netns, work)
    assert "The changes were rolled back, except for" in told
    assert any("mv0" in sentence for sentence in left)
    assert "A link of that name was created by others at the same moment" in told


def test_kernel_that_does_not_keep_what_it_acknowledged(host: Host) -> None:
    """If the second plan is not empty, the task fails, names the ignored change, and rolls the others back."""

    class Forgetful(KernelGateway):
        def execute(self, request: Request) -> None:
            if not (isinstance(request, SetLink) and "alias" in request.attributes):
                super().execute(request)

    before = dump([host.netns])

    def work() -> str:
        items = desired_topology({"macvlan": [entry("mv0", lower_device="eth0", alias="lost")]})
        with Forgetful() as gateway, pytest.raises(ApplyFailed) as caught:
            converge(gateway, items, apply=True)
        return str(caught.value)

    told = in_host(host.netns, work)
    assert told == (
        'the kernel acknowledged all requests but did not apply this: set mv0: alias "" -> lost. All changes were rolled back'
    )
    assert dump([host.netns]) == before
