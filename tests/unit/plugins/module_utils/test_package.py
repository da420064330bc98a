# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed boot program: it contains what it imports and nothing else, and is the same bytes every time."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _package
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._package import RELEASE, engine

PACKAGE = "ansible_collections.patchbay.netdev.plugins.module_utils"
ROOT = Path(__file__).parents[4]
SOURCES = ROOT / "plugins/module_utils"


def source(name: str) -> Path | None:
    """The file of a module of the engine."""
    if not (f"{name}.").startswith(f"{PACKAGE}."):
        return None
    place = SOURCES.joinpath(*name[len(PACKAGE) + 1 :].split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imports(path: Path) -> Iterator[str]:
    """All imports of a file, at any depth; of `from x import y`, both may be modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{name.name}" for name in node.names)


def reached(start: str) -> tuple[set[str], set[str]]:
    """(modules of the engine, all other imports) that a module leads to, with the packages around them."""
    ours, others, left = set(), set(), [start]
    while left:
        name = left.pop()
        path = source(name)
        if path is None:
            others.add(name)
        elif name not in ours:
            ours.add(name)
            left += [*imports(path), name.rpartition(".")[0]]
    return ours - {PACKAGE}, others


def parents(name: str) -> Iterator[str]:
    """The packages around a module."""
    parts = name.split(".")
    yield from (".".join(parts[:depth]) for depth in range(1, len(parts)))


def test_archive_contains_what_the_program_imports() -> None:
    """All of it, and nothing else: a missing module would show only at the next boot."""
    ours, _others = reached(f"{PACKAGE}._host_program._main")
    around = {parent for name in ours for parent in parents(name)}
    with zipfile.ZipFile(io.BytesIO(engine().content)) as archive:
        packed = {path for path in archive.namelist() if path not in ("__main__.py", "VERSION")}
    assert packed == {f"{name.replace('.', '/')}/__init__.py" for name in around} | {
        f"{name.replace('.', '/')}.py" for name in ours - around
    }


def test_program_does_not_import_ansible() -> None:
    """Hosts do not have it. pyroute2 is imported by name, at run time."""
    _ours, others = reached(f"{PACKAGE}._host_program._main")
    assert {name for name in others if name.split(".")[0] not in {*sys.stdlib_module_names, "ansible_collections"}} == set()
    assert {name for name in others if name.startswith("ansible_collections") and not name.startswith(f"{PACKAGE}.")} <= {PACKAGE}


def test_release_is_that_of_the_collection() -> None:
    """By it, a task recognizes a newer program on a host."""
    (line,) = [line for line in (ROOT / "galaxy.yml").read_text(encoding="utf-8").splitlines() if line.startswith("version:")]
    assert line.split()[1] == ".".join(str(part) for part in RELEASE)
    with zipfile.ZipFile(io.BytesIO(engine().content)) as archive:
        assert archive.read("VERSION").decode() == line.split()[1]
    assert engine().version == RELEASE


def test_same_bytes_each_time() -> None:
    """Also in a process with another hash seed: else each run would write the program again."""
    script = f"import sys; from {_package.__name__} import engine; sys.stdout.buffer.write(engine().content)"
    found = {engine().content}
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment).stdout)
    assert len(found) == 1


def test_archive_depends_only_on_the_sources() -> None:
    """Not on the time, the machine and the interpreter."""
    with zipfile.ZipFile(io.BytesIO(engine().content)) as archive:
        infos = archive.infolist()
        assert [info.filename for info in infos] == sorted(info.filename for info in infos)
        assert {(info.date_time, info.compress_type, info.create_system, info.external_attr) for info in infos} == {
            ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3, 0o644 << 16)
        }
        sources = [name for name in archive.namelist() if name.startswith(f"{PACKAGE.replace('.', '/')}/_") and "__" not in name]
        assert sources
        for name in sources:
            assert archive.read(name) == (SOURCES / name[len(PACKAGE) + 1 :]).read_bytes()
        folders = {str(Path(name).parent) for name in archive.namelist()} - {"."}
        for folder in folders:
            assert f"{folder}/__init__.py" in archive.namelist()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program as a file."""
    path = tmp_path / "replay.pyz"
    path.write_bytes(engine().content)
    return path


def test_program_runs_alone(program: Path, tmp_path: Path) -> None:
    """Without modules of the environment or the folder, as at boot: an unknown option prints the usage."""
    (tmp_path / "json.py").write_text("raise SystemExit(99)", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", str(program), "--nonsense"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    assert "replay.pyz --check" in done.stderr
    assert "Traceback" not in done.stderr
