"""Proves from the client what the network sees of the old hosts.

prove.py nobody    nobody answers on their addresses
prove.py moved     each address answers with the old MAC address alone, has its old lease, and leads to the new host
prove.py call      calls the service on each address, from wherever it is run
prove.py answers   each address answers with the MAC addresses, and leads to the host, that its JSON argument says
prove.py sent      what the new host sent from each address left with the old MAC address alone

Standard input of "moved" is the lease file of dnsmasq, that of "sent" is what tcpdump shows of the new host's port on the switch.
What is expected comes from the inventory that the demo runs with: it says which old host has which addresses.
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
# As tcpdump shows them: who sent a frame, from where and to where; and who asks for an address that he has himself
FRAME = rf"^\S+ (\S+) > \S+, ethertype IPv4 .*: (\S+)\.{PORT} > (\S+)\.\d+:"
ANNOUNCEMENT = r"^\S+ (\S+) > \S+, ethertype ARP .*who-has (\S+) tell \2, length"
SECONDS = 3  # for which ARP is asked, once a second


@dataclass(frozen=True)
class Expected:
    """Who is to be found on an address. No lease is expected where there is no name to lease it to."""

    host: str
    address: str
    mac: str
    leased: bool = True


@dataclass(frozen=True)
class Row:
    """What was found on an address, a cell for each thing looked at, and what is wrong with it."""

    cells: tuple[list[str], ...]
    faults: list[str]


def old_hosts() -> tuple[str, list[Expected]]:
    """The new host's name, and the old hosts that it is to stand in for."""
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
    """Every MAC address that answers ARP for the address, in order."""
    command = ["arping", "-b", "-w", str(SECONDS), "-I", "eth0", address]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode not in (0, 1) or said.stderr:
        raise RuntimeError(f"{' '.join(command)}: {said.stderr}")
    replies = re.findall(r"^\w+ reply from (\S+) \[(\S+)\]", said.stdout, re.MULTILINE)
    return sorted({mac.lower() for sender, mac in replies if sender == address})


def greeting(address: str) -> str:
    """What the service on the address says: host and address. "nobody", and why, when there is none."""
    try:
        with socket.create_connection((address, PORT), timeout=SECONDS) as connection, connection.makefile() as stream:
            return stream.readline().strip()
    except OSError as error:
        return f"nobody ({error})"


def look_at(expected: Expected, new_host: str, leases: dict[str, list[str]]) -> Row:
    """Ask the network for one address, and the lease file for whose it is."""
    faults = []
    macs = answering(expected.address)
    if macs != [expected.mac]:
        found = " ".join(macs) or "nobody"
        faults.append(f"{expected.mac} alone should answer ARP for {expected.address}: {found} did")
    owners = leases.get(expected.address, [])
    if expected.leased and owners != [f"{expected.host} {expected.mac}"]:
        faults.append(f"{expected.address} should be leased to {expected.host} {expected.mac}")
    said = greeting(expected.address)
    if said != f"{new_host} {expected.address}":
        faults.append(f"the service on {expected.address} should answer from {new_host}: it was {said or 'silent'}")
    verdict = "FAULT" if faults else "right"
    cells = ([expected.host], [expected.address], macs or ["nobody"], owners or ["-"], [said.split(" ")[0]], [verdict])
    return Row(cells, faults)


def read_leases(text: str) -> dict[str, list[str]]:
    """Name and MAC address of the owners by leased address, from dnsmasq's file."""
    leases: dict[str, list[str]] = {}
    for line in text.splitlines():
        _expiry, mac, address, name, _client_id = line.split()
        leases.setdefault(address, []).append(f"{name} {mac}")
    return leases


def print_table(rows: list[Row], heads: tuple[str, ...]) -> None:
    """One row for each address; a cell with several lines makes it higher."""
    lines = [heads, tuple("-" * len(head) for head in heads)]
    for row in rows:
        height = max(len(cell) for cell in row.cells)
        lines += zip(*(cell + [""] * (height - len(cell)) for cell in row.cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("    " + "   ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def nobody() -> list[str]:
    """Faults: addresses of old hosts on which somebody answers."""
    _new_host, hosts = old_hosts()
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda host: answering(host.address), hosts))
    for host, macs in zip(hosts, answers):
        print(f"    {host.host:8} {host.address:14} answers ARP: {', '.join(macs) or 'nobody'}")
    return [f"{', '.join(macs)} answer for {host.address}" for host, macs in zip(hosts, answers) if macs]


def moved(own_address: str, own_mac: str) -> list[str]:
    """Faults: whatever is not as it should be once the old hosts live on."""
    new_host, hosts = old_hosts()
    leases = read_leases(sys.stdin.read())
    everybody = [*hosts, Expected(new_host, own_address, own_mac, leased=False)]
    with ThreadPoolExecutor() as threads:
        rows = list(threads.map(lambda host: look_at(host, new_host, leases), everybody))
    print_table(rows, ("host", "address", "ARP answered by", "DHCP lease of", "TCP answered by", "verdict"))
    faults = [fault for row in rows for fault in row.faults]
    if sorted(leases) != sorted(host.address for host in hosts if host.leased):
        faults.append("there should be one lease for each old host with DHCP and no other: " + ", ".join(sorted(leases)))
    return faults


def answers(expected: str) -> list[str]:
    """Faults: addresses that others answer for than expected: JSON, a list of {address, macs, host}; host may be missing."""
    items = json.loads(expected)
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda item: answering(item["address"]), items))
        said = list(threads.map(lambda item: greeting(item["address"]) if "host" in item else "", items))
    faults = []
    for item, macs, words in zip(items, found, said):
        address = item["address"]
        print(f"    {address:14} answers ARP: {', '.join(macs) or 'nobody'}. TCP: {words or '-'}")
        if macs != item["macs"]:
            faults.append(
                f"{' '.join(item['macs']) or 'nobody'} should answer ARP for {address}: {' '.join(macs) or 'nobody'} did"
            )
        if "host" in item and words != f"{item['host']} {address}":
            faults.append(f"the service on {address} should answer from {item['host']}: it was {words or 'silent'}")
    return faults


def call(own_address: str) -> list[str]:
    """Call the service on each address; faults: where it is silent."""
    _new_host, hosts = old_hosts()
    said = [(address, greeting(address)) for address in (*(host.address for host in hosts), own_address)]
    return [f"the service on {address} is silent: {words}" for address, words in said if words.startswith("nobody")]


def sent(own_address: str, own_mac: str) -> list[str]:
    """Faults: frames from an address that left with another MAC address, or none at all."""
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
                    f"what {host.address} sends to {client} should leave with {host.mac}: it was {' '.join(macs) or 'nothing'}"
                )
        says = sorted({mac for mac, address in announced if address == host.address})
        if not host.leased and says != [host.mac]:
            faults.append(f"{host.address} should have been announced with {host.mac}: it was {' '.join(says) or 'nobody'}")
        rows.append(Row((*cells, says or ["-"], ["FAULT" if faults else "right"]), faults))
    print_table(rows, ("host", "address", *(f"sent to {client}" for client in CLIENTS), "announced by", "verdict"))
    return [fault for row in rows for fault in row.faults]


def main() -> int:
    """Exit status: 0 when all holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("nobody")
    commands.add_parser("answers").add_argument("expected", help="JSON: a list of {address, macs, host}")
    for name in ("moved", "call", "sent"):
        command = commands.add_parser(name)
        command.add_argument("--own-address", required=True, help="the new host's own address")
        if name != "call":
            command.add_argument("--own-mac", required=True, help="the new host's own MAC address")
    options = vars(parser.parse_args())
    faults = {"nobody": nobody, "moved": moved, "answers": answers, "call": call, "sent": sent}[options.pop("command")](**options)
    for fault in faults:
        print(f"    FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
