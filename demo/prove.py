"""Verify from the client what the network sees of the old hosts.

prove.py nobody    no host answers on the old addresses
prove.py moved     each address is answered by its old MAC address only, has its old lease, and reaches the new host
prove.py call      call the service on each address, from the host that runs this program
prove.py answers   each address is answered by the MAC addresses, and reaches the host, of the JSON argument
prove.py sent      frames of the new host from each address have the old MAC address only

The standard input of "moved" is the lease file of dnsmasq, that of "sent" is the output of tcpdump at the switch port of the new
host. The expected values are those of the inventory of the demo.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

DEMO = Path(__file__).resolve().parent
PORT = 7000
CLIENTS = ("192.0.2.9", "198.51.100.9")  # on the network of the new host, and behind a router
# In the output of tcpdump: MAC address, source and destination of a frame; MAC address and address of a gratuitous ARP request
FRAME = rf"^\S+ (\S+) > \S+, ethertype IPv4 .*: (\S+)\.{PORT} > (\S+)\.\d+:"
ANNOUNCEMENT = r"^\S+ (\S+) > \S+, ethertype ARP .*who-has (\S+) tell \2, length"
SECONDS = 3  # duration of a probe, with one ARP request per second


@dataclass(frozen=True)
class Expected:
    """The expected owner of an address; leased: whether by DHCP."""

    host: str
    address: str
    mac: str
    leased: bool = True


@dataclass(frozen=True)
class Row:
    """The results for an address: cells of the table, each a list of lines, and faults."""

    cells: tuple[list[str], ...]
    faults: list[str]


def old_hosts() -> tuple[str, list[Expected]]:
    """The name of the new host, and the old hosts in its inventory."""
    inventory = yaml.safe_load((DEMO / "inventory.yml").read_text())
    ((new_host, variables),) = inventory["new_hosts"]["hosts"].items()
    return new_host, [
        Expected(
            link["host"],
            (link.get("expected_address") or link["addresses"][0]).partition("/")[0],
            link["address"],
            leased="addresses" not in link,
        )
        for link in variables["host_consolidation_hosts"]
    ]


def answering(address: str) -> list[str]:
    """All MAC addresses that reply to ARP requests for the address, sorted."""
    command = ["arping", "-b", "-w", str(SECONDS), "-I", "eth0", address]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode not in (0, 1) or said.stderr:
        raise RuntimeError(f"{' '.join(command)}: {said.stderr}")
    replies = re.findall(r"^\w+ reply from (\S+) \[(\S+)\]", said.stdout, re.MULTILINE)
    return sorted({mac.lower() for sender, mac in replies if sender == address})


def greeting(address: str) -> str:
    """The reply of the service on the address: host name and address; "nobody" and the reason if there is no reply."""
    try:
        with socket.create_connection((address, PORT), timeout=SECONDS) as connection, connection.makefile() as stream:
            return stream.readline().strip()
    except OSError as error:
        return f"nobody ({error})"


def look_at(expected: Expected, new_host: str, leases: dict[str, list[str]]) -> Row:
    """Probe one address and compare the replies and the lease with the expected ones."""
    faults = []
    macs = answering(expected.address)
    if macs != [expected.mac]:
        found = " ".join(macs) or "nobody"
        faults.append(f"{expected.address}: expected an ARP reply from {expected.mac} only, got {found}")
    owners = leases.get(expected.address, [])
    if expected.leased and owners != [f"{expected.host} {expected.mac}"]:
        faults.append(
            f"{expected.address}: expected a lease of {expected.host} {expected.mac}, found {' '.join(owners) or 'none'}"
        )
    said = greeting(expected.address)
    if said != f"{new_host} {expected.address}":
        faults.append(f"{expected.address}: expected a reply of the service on {new_host}, got {said or 'none'}")
    verdict = "FAULT" if faults else "ok"
    cells = ([expected.host], [expected.address], macs or ["nobody"], owners or ["-"], [said.split(" ")[0]], [verdict])
    return Row(cells, faults)


def read_leases(text: str) -> dict[str, list[str]]:
    """Host name and MAC address of the lease owners, by address."""
    leases: dict[str, list[str]] = {}
    for line in text.splitlines():
        _expiry, mac, address, name, _client_id = line.split()
        leases.setdefault(address, []).append(f"{name} {mac}")
    return leases


def print_table(rows: list[Row], heads: tuple[str, ...]) -> None:
    """Print one row per address."""
    lines = [heads, tuple("-" * len(head) for head in heads)]
    for row in rows:
        height = max(len(cell) for cell in row.cells)
        lines += zip(*(cell + [""] * (height - len(cell)) for cell in row.cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("    " + "   ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def nobody() -> list[str]:
    """Faults: addresses of old hosts that are in use."""
    _new_host, hosts = old_hosts()
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda host: answering(host.address), hosts))
    for host, macs in zip(hosts, answers):
        print(f"    {host.host:8} {host.address:14} ARP replies from: {', '.join(macs) or 'nobody'}")
    return [f"{host.address} is in use: reply from {', '.join(macs)}" for host, macs in zip(hosts, answers) if macs]


def moved(own_address: str, own_mac: str) -> list[str]:
    """Faults after the old hosts moved to the new host."""
    new_host, hosts = old_hosts()
    leases = read_leases(sys.stdin.read())
    everybody = [*hosts, Expected(new_host, own_address, own_mac, leased=False)]
    with ThreadPoolExecutor() as threads:
        rows = list(threads.map(lambda host: look_at(host, new_host, leases), everybody))
    print_table(rows, ("host", "address", "ARP reply from", "DHCP lease of", "TCP reply from", "result"))
    faults = [fault for row in rows for fault in row.faults]
    if sorted(leases) != sorted(host.address for host in hosts if host.leased):
        faults.append("expected one lease for each old host with DHCP and no other, found: " + ", ".join(sorted(leases)))
    return faults


def answers(expected: str) -> list[str]:
    """Faults: addresses with unexpected replies; expected: JSON, a list of {address, macs, host}, of which host is optional."""
    items = json.loads(expected)
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda item: answering(item["address"]), items))
        said = list(threads.map(lambda item: greeting(item["address"]) if "host" in item else "", items))
    faults = []
    for item, macs, words in zip(items, found, said):
        address = item["address"]
        print(f"    {address:14} ARP replies from: {', '.join(macs) or 'nobody'}. TCP: {words or '-'}")
        if macs != item["macs"]:
            faults.append(
                f"{address}: expected an ARP reply from {' '.join(item['macs']) or 'nobody'}, got {' '.join(macs) or 'nobody'}"
            )
        if "host" in item and words != f"{item['host']} {address}":
            faults.append(f"{address}: expected a reply of the service on {item['host']}, got {words or 'none'}")
    return faults


def call(own_address: str) -> list[str]:
    """Call the service on each address; faults: addresses without a reply."""
    _new_host, hosts = old_hosts()
    said = [(address, greeting(address)) for address in (*(host.address for host in hosts), own_address)]
    return [f"{address}: no reply from the service: {words}" for address, words in said if words.startswith("nobody")]


def sent(own_address: str, own_mac: str) -> list[str]:
    """Faults: addresses with frames that have another MAC address, or without frames."""
    new_host, hosts = old_hosts()
    lines = sys.stdin.read().splitlines()
    frames = [match.groups() for line in lines if (match := re.search(FRAME, line))]
    announced = [match.groups() for line in lines if (match := re.search(ANNOUNCEMENT, line))]
    rows = []
    for host in [*hosts, Expected(new_host, own_address, own_mac, leased=True)]:
        faults = []
        cells = [[host.host], [host.address]]
        for client in CLIENTS:
            macs = sorted({mac for mac, source, target in frames if (source, target) == (host.address, client)})
            cells.append(macs or ["nothing"])
            if macs != [host.mac]:
                faults.append(
                    f"{host.address}: expected frames to {client} with {host.mac} only, captured {' '.join(macs) or 'none'}"
                )
        says = sorted({mac for mac, address in announced if address == host.address})
        if not host.leased and says != [host.mac]:
            faults.append(f"{host.address}: expected an announcement with {host.mac}, captured {' '.join(says) or 'none'}")
        rows.append(Row((*cells, says or ["-"], ["FAULT" if faults else "ok"]), faults))
    print_table(rows, ("host", "address", *(f"sent to {client}" for client in CLIENTS), "announced by", "result"))
    return [fault for row in rows for fault in row.faults]


def main() -> int:
    """The exit status: 0 without faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("nobody")
    commands.add_parser("answers").add_argument("expected", help="JSON: a list of {address, macs, host}")
    for name in ("moved", "call", "sent"):
        command = commands.add_parser(name)
        command.add_argument("--own-address", required=True, help="address of the new host itself")
        if name != "call":
            command.add_argument("--own-mac", required=True, help="MAC address of the new host itself")
    options = vars(parser.parse_args())
    faults = {"nobody": nobody, "moved": moved, "answers": answers, "call": call, "sent": sent}[options.pop("command")](**options)
    for fault in faults:
        print(f"    FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
