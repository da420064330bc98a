# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ladder of each option of each module (check, apply, check, apply), and the functions that verify the kernel state."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, enter

Oracle = Callable[[Host], Any]
Rung = tuple[Any, Oracle, Any]  # a value, the function that reads it, and the expected reading
RTM_GETLINK, NLM_F_REQUEST, IFLA_IFNAME, IFLA_LINKINFO = 18, 1, 3, 18
INFO_DATA, INFO_SLAVE_DATA = 2, 5


def climb(host: Host, module: str, /, **params: Any) -> dict[str, Any]:
    """Verify the four runs of a change, and return the result of the first real run."""
    namespaces = [host.netns, "guest"]
    before = dump(namespaces)
    told = host.run(module, check=True, **params)
    assert not told.get("failed"), told
    assert told["changed"], told
    assert_equal(dump(namespaces), before, "check mode changed something")
    done = host.run(module, **params)
    assert not done.get("failed"), done
    assert done["changed"], done
    assert done["operations"] == told["operations"]
    word = next(name for name in ("link", "route", "rule") if name in told)
    _same_where_known(told[word], done[word])
    assert [entry["before"] for entry in told["diff"]] == [entry["before"] for entry in done["diff"]]
    for promised, found in zip(told["diff"], done["diff"]):
        _same_where_known(promised["after"], found["after"])
    stay(host, module, **params)
    return done


def warnings(result: dict[str, Any]) -> list[str]:
    """Return the sentences of the warnings of a result, in the form of each release of ansible-core."""
    return [item if isinstance(item, str) else item["event"]["msg"] for item in result.get("warnings", ())]


def stay(host: Host, module: str, /, **params: Any) -> None:
    """Verify the last two runs, which have nothing to change."""
    for check in (True, False):
        again = host.run(module, check=check, **params)
        assert not again.get("failed"), again
        assert not again["changed"], again
        assert again["operations"] == []


def _same_where_known(promised: Any, found: Any) -> None:
    if promised is not None:
        for name, value in promised.items():
            assert value is None or value == found[name], f"check mode promised {name} {value}, it became {found[name]}"


@dataclass(frozen=True)
class Case:
    """Options of a task, the expected message, and the state before: ip commands, and tasks (a module and its options).

    awaits: what an earlier task may provide is missing, so that check mode only warns of it.
    """

    params: dict[str, Any]
    told: str
    ip: tuple[str, ...] = ()
    tasks: tuple[tuple[str, dict[str, Any]], ...] = field(default=())
    awaits: bool = False


def refuse(host: Host, module: str, case: Case, others: Sequence[str] = ()) -> None:
    """Verify the whole error message, in check mode (unless only the kernel refuses) and in a real run: nothing may change."""
    for command in case.ip:
        host.ip(*command.split())
    for name, params in case.tasks:
        host.apply(name, **params)
    namespaces = [host.netns, "guest", *others]
    before = dump(namespaces)
    known_to_kernel_alone = "failed: the kernel refused" in case.told
    for check in (False,) if known_to_kernel_alone else (True, False):
        result = host.run(module, check=check, **case.params)
        if check and case.awaits:
            assert_unplanned(result, case.told)
            continue
        assert result.get("failed"), result
        assert result["msg"] == case.told
    assert_equal(dump(namespaces), before, "a refusal changed something")


def assert_unplanned(result: dict[str, Any], message: str) -> None:
    """Verify the result of check mode where a real run fails with this message, because something is missing."""
    assert (result["changed"], result["operations"], result["diff"]) == (True, [], []), result
    assert f"{message.partition('. ')[0]}, so check mode cannot plan this task. " in str(result["warnings"])


def shown(name: str, *path: str, netns: str | None = None) -> Oracle:
    """Return a function that reads a value from the output of `ip -d -j link show`."""

    def read(host: Host) -> Any:
        found: Any = host.link(name, netns)
        for step in path:
            found = found.get(step) if found else None
        return found

    return read


def data(name: str, attribute: str) -> Oracle:
    """Return a function that reads an attribute of the kind."""
    return shown(name, "linkinfo", "info_data", attribute)


def flag(name: str, word: str, netns: str | None = None) -> Oracle:
    """Return a function that reads a flag of the link."""
    return lambda host: word in host.link(name, netns)["flags"]


def setting(path: str, netns: str | None = None) -> Oracle:
    """Return a function that reads a sysctl of the link."""
    return lambda host: int(host.setting(path, netns))


def sysfs(host: Host, path: str, netns: str | None = None) -> str:
    """Read a file below /sys/class/net. ip netns exec mounts the sysfs of the namespace."""
    command = ["ip", "netns", "exec", netns or host.netns, "cat", f"/sys/class/net/{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def bridge_link(host: Host, port: str) -> dict[str, Any]:
    """Return a bridge port as `bridge -d -j link` shows it, empty if the link is not a port."""
    command = ["bridge", "-n", host.netns, "-d", "-j", "link", "show", "dev", port]
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(done or "[]")
    return found[0] if found else {}


def nested(host: Host, link: str, *path: int) -> int | None:
    """Return a function that reads a number inside IFLA_LINKINFO, which no iproute2 of a Debian release shows."""
    found = _attribute(_link_message(host, link), IFLA_LINKINFO, *path)
    return None if found is None else int.from_bytes(found, "little", signed=True)


def _link_message(host: Host, name: str) -> bytes:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        enter(host.netns)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            attribute = struct.pack("=HH", 5 + len(name), IFLA_IFNAME) + name.encode() + b"\0"
            attribute += b"\0" * (-len(attribute) % 4)
            netlink.send(struct.pack("=IHHII", 32 + len(attribute), RTM_GETLINK, NLM_F_REQUEST, 1, 0) + bytes(16) + attribute)
            os.write(writer, netlink.recv(1 << 16))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        message = output.read()
    os.waitpid(child, 0)
    return message[32:]


def _attribute(payload: bytes, *path: int) -> bytes | None:
    for wanted in path:
        offset, found = 0, None
        while offset + 4 <= len(payload):
            size, kind = struct.unpack_from("=HH", payload, offset)
            if kind & 0x3FFF == wanted:
                found = payload[offset + 4 : offset + size]
            offset += (max(size, 4) + 3) & ~3
        if found is None:
            return None
        payload = found
    return payload


def common_ladders(name: str, netns: str | None = None) -> dict[str, list[Rung]]:
    """Return the options of every link: values to set in turn, and what the kernel must show for each of them."""

    def look(*path: str) -> Oracle:
        return shown(name, *path, netns=netns)

    return {
        "address": [
            ("02:00:00:00:0A:01", look("address"), "02:00:00:00:0a:01"),
            ("02-00-00-00-00-02", look("address"), "02:00:00:00:00:02"),
        ],
        "mtu": [(mtu, look("mtu"), mtu) for mtu in (1400, 1280, 1200, 1500)],
        "tx_queue_len": [(500, look("txqlen"), 500), (0, look("txqlen"), None), (77, look("txqlen"), 77)],
        "group": [("7", look("group"), "7"), (0, look("group"), "default"), ("42", look("group"), "42")],
        "alias": [
            ("rack 3", look("ifalias"), "rack 3"),
            ("Büro: ☎", look("ifalias"), "Büro: ☎"),
            ("", look("ifalias"), None),
        ],
        "admin_state": [("up", flag(name, "UP", netns), True), ("down", flag(name, "UP", netns), False)],
        "promiscuous": [(True, flag(name, "PROMISC", netns), True), (False, flag(name, "PROMISC", netns), False)],
        "allmulticast": [(True, flag(name, "ALLMULTI", netns), True), (False, flag(name, "ALLMULTI", netns), False)],
        "address_generation_mode": [(mode, look("inet6_addr_gen_mode"), mode) for mode in ("none", "random", "eui64")],
        "altnames": [
            (["first name", "second/name"], look("altnames"), ["first name", "second/name"]),
            (["second/name", "x" * 127], look("altnames"), ["first name", "second/name", "x" * 127]),
        ],
        "sysctls": [
            ({"ipv4.arp_ignore": 1, "ipv4.arp_announce": 2}, setting(f"ipv4/conf/{name}/arp_ignore", netns), 1),
            ({"ipv4.arp_ignore": 2}, setting(f"ipv4/conf/{name}/arp_announce", netns), 2),
            ({"ipv6.accept_ra": 0, "ipv4.rp_filter": "2"}, setting(f"ipv6/conf/{name}/accept_ra", netns), 0),
        ],
    }
