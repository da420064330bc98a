"""List the MAC addresses and DSCP marks of the frames of a host, as captured at its switch port.

judge.py CAPTURE --voice MAC --nic MAC [--vlan ID] [--marked]

"Call established" in the log of a softphone says nothing about the audio, so each direction of each protocol is verified. Fails
if SIP, RTP or web is missing in one direction, if SIP or RTP does not use the MAC address for voice, or if web does not use that
of the network card; with --marked, if sent frames do not have the mark CS3 (SIP) or EF (RTP).
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CS3, EF = 24, 46
NAMES = {0: "-", CS3: "CS3", EF: "EF"}
VLAN_TAG, IPV4, TCP, UDP = 0x8100, 0x0800, 6, 17
SIP_PORT, WEB_PORT = 5060, 80
NEEDED = {"SIP": ("voice", CS3), "RTP": ("voice", EF), "web": ("NIC", 0)}


@dataclass(frozen=True, order=True)
class Flow:
    """Frames with the same contents, direction, MAC address of the host, IP addresses, mark and VLAN."""

    carries: str
    sent: bool
    mac: str
    source: str
    target: str
    dscp: int
    vlan: int


def frames(capture: bytes) -> Iterator[bytes]:
    """The frames of a capture file."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[capture[:4]]
    place = 24
    while place < len(capture):
        (size,) = struct.unpack_from(order + "I", capture, place + 8)
        yield capture[place + 16 : place + 16 + size]
        place += 16 + size


def carried(protocol: int, segment: bytes) -> str:
    """The application protocol of a TCP or UDP segment."""
    ports = struct.unpack_from("!HH", segment)
    if protocol == TCP:
        return "web" if WEB_PORT in ports else f"TCP {min(ports)}"
    if SIP_PORT in ports:
        return "SIP"
    data = segment[8:]
    if len(data) >= 12 and data[0] >> 6 == 2:  # the version of RTP
        return "RTCP" if 200 <= data[1] <= 207 else "RTP"
    return "DHCP" if set(ports) <= {67, 68} else f"UDP {min(ports)}"


def flow_of(frame: bytes, macs: dict[str, str]) -> Flow | None:
    """The flow of a frame; None for frames other than IPv4 from or to the host."""
    target, source = frame[:6].hex(":"), frame[6:12].hex(":")
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    packet, vlan = frame[14:], 0
    if ethertype == VLAN_TAG:
        tag, ethertype = struct.unpack_from("!HH", frame, 14)
        packet, vlan = frame[18:], tag & 0xFFF
    if ethertype != IPV4 or packet[9] not in (TCP, UDP) or (source not in macs and target not in macs):
        return None
    sent = source in macs
    return Flow(
        carried(packet[9], packet[(packet[0] & 15) * 4 :]),
        sent,
        macs[source if sent else target],
        socket.inet_ntoa(packet[12:16]),
        socket.inet_ntoa(packet[16:20]),
        packet[1] >> 2,
        vlan,
    )


def flows(capture: bytes, macs: dict[str, str]) -> Counter[Flow]:
    """The number of frames per flow; macs: names of the MAC addresses of the host."""
    found = (flow_of(frame, macs) for frame in frames(capture))
    return Counter(flow for flow in found if flow is not None)


def faults(seen: Sequence[Flow], marked: bool, vlan: int = 0) -> list[str]:
    """Faults, as sentences."""
    found = []
    for carries, (mac, mark) in NEEDED.items():
        for sent in (True, False):
            way = "sent" if sent else "received"
            here = [flow for flow in seen if flow.carries == carries and flow.sent == sent]
            if not here:
                found.append(f"no {carries} was {way}")
            found += [
                f"{carries} is {way} by the {flow.mac} MAC ({flow.source} > {flow.target})" for flow in here if flow.mac != mac
            ]
            if marked and sent:
                found += [f"{carries} is {way} with the mark {mark_name(flow.dscp)}" for flow in here if flow.dscp != mark]
            tag = vlan if mac == "voice" else 0
            found += [f"{carries} is {way} in VLAN {flow.vlan or 'none'}" for flow in here if flow.vlan != tag]
    return list(dict.fromkeys(found))


def mark_name(dscp: int) -> str:
    """The name of a mark."""
    return NAMES.get(dscp, str(dscp))


def print_table(seen: Counter[Flow]) -> None:
    """Print one line per flow."""
    rows = [("", "direction", "by MAC", "from", "to", "DSCP", "VLAN", "frames")]
    rows += [
        (
            flow.carries,
            "sent" if flow.sent else "received",
            flow.mac,
            flow.source,
            flow.target,
            mark_name(flow.dscp),
            str(flow.vlan or "-"),
            str(count),
        )
        for flow, count in sorted(seen.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("    " + "   ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def main() -> int:
    """The exit status: 0 without faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("capture", type=Path, help="capture file of tcpdump")
    parser.add_argument("--voice", required=True, help="MAC address of the voice link")
    parser.add_argument("--nic", required=True, help="MAC address of the network card")
    parser.add_argument("--vlan", type=int, default=0, help="ID of the voice VLAN, if it is tagged")
    parser.add_argument("--marked", action="store_true", help="sent frames must be marked")
    options = parser.parse_args()
    seen = flows(options.capture.read_bytes(), {options.voice.lower(): "voice", options.nic.lower(): "NIC"})
    print_table(seen)
    found = faults(list(seen), options.marked, options.vlan)
    for fault in found:
        print(f"    FAULT: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
