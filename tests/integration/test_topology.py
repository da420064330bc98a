# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many links in one task, on the real kernel."""

from __future__ import annotations

import json
import subprocess
import time

from ansible_collections.patchbay.netdev.tests.integration.host import Host, dump, ip


def test_two_hundred_links(host: Host) -> None:
    """One task creates 200 macvlans, the second one changes nothing, and the third one deletes them."""
    entries = [
        {
            "name": f"mv{number}",
            "lower_device": "eth0",
            "mode": "bridge",
            "address": f"02:00:00:00:01:{number:02x}",
            "admin_state": "up",
        }
        for number in range(200)
    ]
    done = host.apply("topology", macvlan=entries)
    assert len(done["operations"]) == 200
    found = [link for link in json.loads(host.ip("-d", "-j", "link")) if link.get("linkinfo", {}).get("info_kind") == "macvlan"]
    assert {(link["ifname"], link["address"]) for link in found} == {(entry["name"], entry["address"]) for entry in entries}
    assert all(link["linkinfo"]["info_data"]["mode"] == "bridge" and "UP" in link["flags"] for link in found)
    again = host.apply("topology", macvlan=entries)
    assert not again["changed"]
    assert again["operations"] == []


def test_order_of_the_input_does_not_matter(host: Host) -> None:
    """Deleted links make room first, and a link is created after its lower device."""
    host.apply("macvlan", name="old", lower_device="eth0", mode="passthru")
    done = host.apply(
        "topology",
        macvlan=[
            {"name": "new", "lower_device": "eth0", "mode": "bridge"},
            {"name": "far", "lower_device": "eth1", "netns": "guest"},
            {"name": "old", "state": "absent"},
        ],
    )
    assert done["operations"] == [
        "delete old",
        "create new: macvlan on eth0, mode bridge",
        "create far in netns guest: macvlan on eth1",
    ]
    assert [link and link["name"] for link in done["links"]] == ["new", "far", None]


def test_one_wrong_entry_changes_nothing(host: Host) -> None:
    """The whole plan exists before the first request."""
    before = dump([host.netns, "guest"])
    result = host.run(
        "topology",
        macvlan=[{"name": f"mv{number}", "lower_device": "eth0"} for number in range(5)]
        + [{"name": "mv5", "lower_device": "eth7"}],
    )
    assert result["msg"].startswith("mv5: lower device eth7 does not exist")
    assert dump([host.netns, "guest"]) == before


def test_info(host: Host) -> None:
    """link_info returns the links of all namespaces with their dependent links, and filters them."""
    host.apply(
        "topology",
        macvlan=[
            {"name": "mv0", "lower_device": "eth0", "mode": "private", "altnames": ["seen by this too"]},
            {"name": "mv1", "lower_device": "eth0", "netns": "guest"},
        ],
    )
    everywhere = host.apply("link_info", netns="all")["links"]
    eth0 = next(link for link in everywhere if (link["name"], link["netns"]) == ("eth0", None))
    assert eth0["kind"] == "veth"
    assert eth0["children"] == [{"name": "mv0", "netns": None}, {"name": "mv1", "netns": "guest"}]
    assert eth0["address"] == host.link("eth0")["address"]
    assert eth0["index"] == host.link("eth0")["ifindex"]
    far = next(link for link in everywhere if link["name"] == "mv1")
    assert (far["netns"], far["lower_device"], far["lower_device_netns"]) == ("guest", "eth0", None)
    names = {(link["netns"], link["name"]) for link in everywhere}
    assert {(None, "lo"), ("guest", "lo"), (f"{host.netns}-wire", "eth0")} <= names

    here = host.apply("link_info")["links"]
    assert [link["name"] for link in here] == [link["ifname"] for link in json.loads(host.ip("-j", "link"))]
    assert host.apply("link_info", name="seen by this too")["links"][0]["mode"] == "private"
    assert [link["name"] for link in host.apply("link_info", kind="macvlan", netns="guest")["links"]] == ["mv1"]
    assert [link["name"] for link in host.apply("link_info", kind="physical")["links"]] == ["lo"]
    assert host.apply("link_info", name="nothing")["links"] == []
    missing = host.run("link_info", netns="nowhere")
    assert missing["msg"].startswith("There is no network namespace nowhere")


def test_lower_device_in_a_namespace_without_a_name(host: Host) -> None:
    """A lower device in a namespace without a name is neither an error nor returned with a wrong name."""
    ip("netns", "add", "passing")
    ip("link", "add", "v0", "type", "veth", "peer", "name", "v1", netns="passing")
    ip("link", "add", "mv0", "link", "v0", "netns", host.netns, "type", "macvlan", netns="passing")
    # a process keeps the namespace without its name
    with subprocess.Popen(["ip", "netns", "exec", "passing", "sleep", "60"]) as sleeper:
        try:
            while not ip("netns", "pids", "passing").split():
                time.sleep(0.01)
            ip("netns", "del", "passing")
            found = host.apply("link_info", name="mv0")["links"][0]
            assert found["lower_device"].startswith("(link ")
            assert found["lower_device_netns"].startswith("(unnamed namespace ")
            assert host.apply("macvlan", name="mv0", mode="bridge")["changed"]
        finally:
            sleeper.kill()
