"""The tested versions of all direct and indirect dependencies.

`uv run --no-sync python .ci/constraints.py` resolves all dependencies and writes two lists: the newest versions into
pyproject.toml, where they constrain every installation by uv, and the lowest versions that pyproject.toml allows into
.ci/lowest.txt. `--check` resolves nothing. It prints the differences and exits with status 1 if uv.lock or a package
installed for this Python differs from the first list, or if a lower bound in pyproject.toml differs from the second.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
LOWEST = ROOT / ".ci" / "lowest.txt"
LOCK = ROOT / "uv.lock"
LIST = re.compile(r"^constraint-dependencies = \[\n(.*?)^\]\n", re.MULTILINE | re.DOTALL)
TOOLS = re.compile(r"^tools = \[.*?^\]\n", re.MULTILINE | re.DOTALL)
EVERYTHING = ("--all-extras", "--all-groups")
EXTRAS = ("timm", "video", "detect", "search")
"""The extras of which the lowest versions are tested."""
TESTED_LOWEST = (*(word for extra in EXTRAS for word in ("--extra", extra)), "--no-default-groups", "--group", "test")


def resolved(text: str, resolution: str, *parts: str) -> list[str]:
    """`name==version ; marker` of all dependencies of these parts of the project, for all its Pythons and platforms."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(LIST.sub("", text))

        def uv(*arguments: str) -> str:
            command = ["uv", *arguments, "--quiet", "--project", folder, "--resolution", resolution]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

        uv("lock")
        bare = ("--no-hashes", "--no-annotate", "--no-header", "--no-emit-project")
        return uv("export", "--frozen", *bare, *parts).splitlines()


def write() -> None:
    text = PROJECT.read_text()
    pins = "".join(f'    "{pin}",\n' for pin in resolved(text, "highest", *EVERYTHING))
    # The floors of other people's tools would raise ours: uv resolves all extras together, installed or not.
    lowest = resolved(TOOLS.sub("", text), "lowest-direct", *TESTED_LOWEST)
    PROJECT.write_text(LIST.sub(lambda _: f"constraint-dependencies = [\n{pins}]\n", text))
    LOWEST.write_text("".join(f"{pin}\n" for pin in lowest))


def here(pins: list[str]) -> dict[str, Requirement]:
    """The pins that apply to this Python on this machine, by name."""
    requirements = map(Requirement, pins)
    return {canonicalize_name(r.name): r for r in requirements if r.marker is None or r.marker.evaluate()}


def differences() -> list[str]:
    """The installed versions and the lower bounds that are not tested, one sentence each."""
    project = tomllib.loads(PROJECT.read_text())
    name = project["project"]["name"]
    written = project["tool"]["uv"]["constraint-dependencies"]
    tested = {pin.partition(" ;")[0] for pin in written}
    locked = {f"{p['name']}=={p['version']}" for p in tomllib.loads(LOCK.read_text())["package"] if p["name"] != name}
    found = [f"{pin} is required but not listed" for pin in sorted(locked - tested)]
    found += [f"{pin} is listed but not required" for pin in sorted(tested - locked)]

    pins = here(written)
    for package in sorted(distributions(), key=lambda package: package.name):
        pin = pins.get(canonicalize_name(package.name))
        if pin is None and package.name != name:
            found.append(f"{package.name} {package.version} is installed, but no version of it is listed")
        elif pin is not None and not pin.specifier.contains(package.version, prereleases=True):
            found.append(f"{package.name} {package.version} is installed, but {pin.specifier} is listed")

    lowest = here(LOWEST.read_text().splitlines())
    extras = project["project"]["optional-dependencies"]
    promised = [*project["project"]["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    for promise in map(Requirement, promised):
        floors = [bound.version for bound in promise.specifier if bound.operator == ">="]
        pin = lowest.get(canonicalize_name(promise.name))
        if pin is None or not all(pin.specifier.contains(floor, prereleases=True) for floor in floors):
            found.append(f"{promise} is the lower bound, but the lowest tested version is {pin}")
    return found


if sys.argv[1:] == ["--check"]:
    if found := differences():
        sys.exit(
            f"Not as tested: {'; '.join(found)}. "
            "`uv sync` installs the listed versions; without --check, this script updates the lists."
        )
elif sys.argv[1:]:
    sys.exit(f"{' '.join(sys.argv[1:])} is not an option of this script; give --check or nothing")
else:
    write()
