"""The packages that a test machine gets start no service there, and the check that sees to it does see services."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PACKAGES = [line.split()[1] for line in (TESTS / "packages.txt").read_text().splitlines() if line and not line.startswith("#")]

SERVICES = {
    "openssh-server of Debian 12": ["etc/init.d/ssh", "lib/systemd/system/ssh.service"],
    "openssh-server of Debian 13": ["etc/init.d/ssh", "usr/lib/systemd/system/ssh.service"],
    "init script": ["etc/init.d/daemon"],
    "unit": ["usr/lib/systemd/system/daemon.service"],
    "template": ["lib/systemd/system/daemon@.service"],
    "timer": ["usr/lib/systemd/system/daemon.timer"],
    "unit in /etc": ["etc/systemd/system/daemon.service"],
    "enabled unit": ["usr/lib/systemd/system/multi-user.target.wants/daemon.service"],
    "on demand of the message bus": ["usr/share/dbus-1/system-services/org.example.Daemon.service"],
}
HARMLESS = {
    "nothing": [],
    "program and manual": ["usr/sbin/daemon", "usr/share/man/man8/daemon.8.gz", "usr/share/doc/init.d/daemon.service"],
    "message bus policy": ["usr/share/dbus-1/system.d/daemon.conf"],
    "unit of a user": ["usr/lib/systemd/user/ssh-agent.service"],
}


def no_services(*packages: str | Path) -> subprocess.CompletedProcess[str]:
    """Return how the check ended for these .deb files or installed packages."""
    command = [TESTS / "no-services", *packages]
    return subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def build_deb(folder: Path, name: str, files: list[str]) -> Path:
    """Return a Debian package that holds these files."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = ["Version: 1", "Architecture: all", "Maintainer: nobody <nobody@example.com>", "Description: none"]
    (tree / "DEBIAN" / "control").write_text("\n".join([f"Package: {name}", *control, ""]))
    (tree / "lib/systemd/system").mkdir(parents=True)  # an empty folder is no service
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).touch()
    deb = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", tree, deb], check=True, stdout=subprocess.DEVNULL)
    return deb


@pytest.mark.parametrize("package", PACKAGES)
def test_package_of_the_list_starts_nothing(package):
    """Each is installed by now, so what it holds is known without a download."""
    result = no_services(package)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("files", SERVICES.values(), ids=SERVICES)
def test_service_is_refused_and_named(tmp_path, files):
    """One offender among harmless packages is enough; the message names it and the files."""
    harmless = build_deb(tmp_path / "harmless", "harmless", [])
    result = no_services(harmless, build_deb(tmp_path / "offender", "offender", files))
    assert result.returncode == 1
    assert "offender.deb" in result.stdout
    assert "harmless.deb" not in result.stdout
    assert all(f"/{file}\n" in result.stdout for file in files)


@pytest.mark.parametrize("files", HARMLESS.values(), ids=HARMLESS)
def test_harmless_package_passes(tmp_path, files):
    """Only what an init system or the message bus starts counts."""
    result = no_services(build_deb(tmp_path, "harmless", files))
    assert (result.returncode, result.stdout) == (0, "")


def test_what_cannot_be_read_is_refused(tmp_path):
    """A package that does not exist or a broken file must not count as harmless."""
    broken = tmp_path / "broken.deb"
    broken.write_text("no package")
    assert no_services("no-such-package").returncode != 0
    assert no_services(broken).returncode != 0
