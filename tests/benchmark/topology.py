# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""topology.py: compare topology with `ip -batch` for the same work, in turn, and print medians and ratios.

Runs in tests/sandbox. Whole processes are measured on both sides: for topology, Python with the module as Ansible starts it on
the managed host, without the transport.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.patchbay.netdev.plugins.filter.consolidation import consolidation

ROUNDS = 5
LINKS, ADDRESSES, ROUTES, OLD_HOSTS = 200, 1000, 1000, 20


@dataclass(frozen=True)
class Work:
    """The work as a task and for `ip -batch`, and the ip command that shows the result."""

    title: str
    task: dict[str, Any]
    batch: str
    shown: str
    gone: str = ""  # what is not deleted together with the lower device


def links() -> Work:
    """Return macvlans."""
    entries = [
        {
            "name": f"mv{number}",
            "lower_device": "eth0",
            "mode": "bridge",
            "address": f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            "admin_state": "up",
        }
        for number in range(LINKS)
    ]
    made = "link add link eth0 name {name} address {address} up type macvlan mode {mode}\n"
    return Work(
        f"{LINKS} macvlans",
        {"macvlan": entries},
        "".join(made.format(**entry) for entry in entries),
        "".join(f"link show dev {entry['name']}\n" for entry in entries),
    )


def traffic() -> Work:
    """Return addresses on one link, and routes through one gateway."""
    addresses = [f"10.1.{number >> 8}.{number & 255}/32" for number in range(ADDRESSES)]
    routes = [f"10.2.{number >> 8}.{number & 255}/32" for number in range(ROUTES)]
    gateway = "10.0.0.2"
    return Work(
        f"{ADDRESSES} addresses and {ROUTES} routes",
        {
            "link": [{"name": "eth0", "addresses": ["10.0.0.1/24", *addresses]}],
            "routes": [{"destination": route, "gateway": gateway} for route in routes],
        },
        "".join(f"address add {address} dev eth0\n" for address in ["10.0.0.1/24", *addresses])
        + "".join(f"route add {route} via {gateway}\n" for route in routes),
        "address show dev eth0\n" + "route show table all\n",
    )


def old_hosts() -> Work:
    """Return old hosts as the role host_consolidation declares them, with sysctls, which ip cannot set."""
    entries = [
        {
            "host": f"old{number}",
            "name": f"old{number}",
            "lower_device": "eth0",
            "address": f"00:16:3e:11:11:{number:02x}",
            "addresses": [f"10.3.0.{number}/24"],
            "gateway": "10.3.0.254",
            "announce": False,
        }
        for number in range(1, OLD_HOSTS + 1)
    ]
    lists = consolidation(entries, ipv6=False, sysctls={"ipv4.arp_ignore": 1, "ipv4.arp_announce": 2})["topology"]
    made = "link add link eth0 name {name} address {address} up type macvlan mode bridge\n"
    rules = [" ".join(f"{name} {rule[name]}" for name in ("oif", "from") if name in rule) for rule in lists["rules"]]
    ways = [
        f"unreachable default metric {route['metric']}"
        if "type" in route
        else " ".join([route["destination"], *(["via", route["gateway"]] if "gateway" in route else []), "dev", route["link"]])
        for route in lists["routes"]
    ]
    return Work(
        f"{OLD_HOSTS} old hosts of the role host_consolidation",
        lists,
        "".join(
            made.format(**entry) + f"address add {entry['addresses'][0]} dev {entry['name']} noprefixroute\n" for entry in entries
        )
        + "".join(f"route add table {route['table']} {way}\n" for route, way in zip(lists["routes"], ways))
        + "".join(f"rule add pref {rule['priority']} {who} table {rule['table']}\n" for rule, who in zip(lists["rules"], rules)),
        "address show\nroute show table all\nrule show\n",
        "".join(f"rule del pref {rule['priority']}\n" for rule in lists["rules"])
        + "".join(f"route flush table {table}\n" for table in dict.fromkeys(rule["table"] for rule in lists["rules"])),
    )


def ip(text: str, *options: str) -> None:
    """Run ip -batch with these lines."""
    subprocess.run(["ip", *options, "-batch", "-"], input=text, text=True, check=not options, capture_output=True)


def topology(task: dict[str, Any]) -> None:
    """Run the module in its own process."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": task}, file)
        file.flush()
        module = Path(__file__).resolve().parents[2] / "plugins/modules/topology.py"
        done = subprocess.run([sys.executable, str(module), file.name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def timed(work: Callable[[], None]) -> float:
    """Return the duration in milliseconds."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def clean(gone: str = "") -> None:
    """Delete the lower device, with which nearly everything is deleted."""
    ip(gone, "-force")
    subprocess.run(["ip", "link", "del", "eth0"], check=False, capture_output=True)
    ip("link add eth0 type veth peer name wire0\nlink set wire0 up\nlink set eth0 up\n")


def measure(work: Work) -> None:
    """Measure both sides in turn, and return medians."""
    figures: dict[str, list[tuple[float, float]]] = {"create": [], "nothing to do": []}
    for _round in range(ROUNDS):
        clean(work.gone)
        by_ip = timed(lambda: ip(work.batch))
        shown = timed(lambda: ip(work.shown))
        clean(work.gone)
        ours = timed(lambda: topology(work.task))
        again = timed(lambda: topology(work.task))
        figures["create"].append((ours, by_ip))
        figures["nothing to do"].append((again, shown))
    print(f"{work.title}, medians of {ROUNDS} rounds in turn, milliseconds of whole processes")
    print(f"{'':16}{'topology':>10}{'ip -batch':>11}{'ratio':>8}")
    for name, pairs in figures.items():
        ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{name:16}{ours:10.0f}{theirs:11.0f}{ratio:8.1f}")


def main() -> None:
    """Measure and print the results."""
    if not os.environ.get("NETNS_SANDBOX"):
        sys.exit("This makes and deletes links: run it as tests/sandbox python tests/benchmark/topology.py")
    clean()
    topology({"link": [{"name": "eth0", "admin_state": "up"}]})  # fill the caches of Python on both sides
    for work in (links(), traffic(), old_hosts()):
        measure(work)


if __name__ == "__main__":
    main()
