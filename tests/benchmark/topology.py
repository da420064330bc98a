# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""topology.py [COUNT]: topology beside `ip -batch`, for the same links, in turn, in one run. Prints medians and ratios.

Needs tests/sandbox around it. Whole processes on both sides: for topology that is Python with the module, as Ansible starts it on
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
from pathlib import Path

ROUNDS = 5


def links(count: int, **options: str) -> list[dict[str, str]]:
    """What topology is asked for."""
    return [
        {
            "name": f"mv{number}",
            "lower_device": "eth0",
            "mode": "bridge",
            "address": f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            "admin_state": "up",
            **options,
        }
        for number in range(count)
    ]


def batch(count: int, *words: str) -> str:
    """The same for ip -batch."""
    return "".join(
        f"link add link eth0 name {entry['name']} address {entry['address']} up type macvlan mode {entry['mode']}\n"
        if not words
        else f"{' '.join(words)} {entry['name']}\n"
        for entry in links(count)
    )


def ip(text: str) -> None:
    """Run ip -batch on these lines."""
    subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True, capture_output=True)


def topology(entries: list[dict[str, str]]) -> None:
    """Run the module as a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": {"macvlan": entries}}, file)
        file.flush()
        module = Path(__file__).resolve().parents[2] / "plugins/modules/topology.py"
        done = subprocess.run([sys.executable, str(module), file.name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def timed(work: Callable[[], None]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def clean() -> None:
    """All links go with their lower device."""
    subprocess.run(["ip", "link", "del", "eth0"], check=False, capture_output=True)
    ip("link add eth0 type veth peer name wire0\nlink set wire0 up\nlink set eth0 up\n")


def main() -> None:
    """Measure and print."""
    if not os.environ.get("NETNS_SANDBOX"):
        sys.exit("This makes and deletes links: run it as tests/sandbox python tests/benchmark/topology.py")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    figures: dict[str, list[tuple[float, float]]] = {"create": [], "nothing to do": []}
    clean()
    topology(links(1))  # Python's caches are warm on both sides
    for _round in range(ROUNDS):
        clean()
        by_ip = timed(lambda: ip(batch(count)))
        shown = timed(lambda: ip(batch(count, "link", "show", "dev")))
        clean()
        ours = timed(lambda: topology(links(count)))
        again = timed(lambda: topology(links(count)))
        figures["create"].append((ours, by_ip))
        figures["nothing to do"].append((again, shown))
    print(f"{count} macvlans, medians of {ROUNDS} rounds in turn, milliseconds of whole processes")
    print(f"{'':16}{'topology':>10}{'ip -batch':>11}{'ratio':>8}")
    for name, pairs in figures.items():
        ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{name:16}{ours:10.0f}{theirs:11.0f}{ratio:8.1f}")


if __name__ == "__main__":
    main()
