"""Stands in for get-pip.py, which ansible-test downloads from a server that not every machine reaches.

Called as get-pip.py is: the arguments are the requirements of pip itself. The pip that is bundled with the interpreter
fetches them.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    """Install the wanted pip; return pip's exit status."""
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    not_for_pip = {"--no-setuptools", "--no-wheel"}
    wanted = [argument for argument in sys.argv[1:] if argument not in not_for_pip]
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
