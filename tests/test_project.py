"""What the project says about itself is true: its commands exist, its versions agree, its reasons are given."""

import importlib.metadata
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:home|root|work|tmp|Users|mnt)/\w")
VERSION = re.compile(r"^[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+$")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):.*## ", text, flags=re.MULTILINE))


def verbs() -> dict[str, set[str]]:
    """Return every verb of the command line with its options."""
    from oligolearn.cli.app import app

    group = typer.main.get_command(app)
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    return {
        verb: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for verb, command in commands.items()
    }


def shell_commands(page: Path) -> list[list[str]]:
    """Return the words of every command in a page's shell blocks, continued lines joined."""
    blocks = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line.removeprefix("$ "), comments=True))]


def unknown_commands(page: Path) -> list[str]:
    """Return what a page tells its reader to type that does not exist."""
    targets, known = make_targets(), verbs()
    unknown = []
    for program, *arguments in shell_commands(page):
        if program == "make":
            unknown += [f"make {word}" for word in arguments if "=" not in word and word not in targets]
        if program == "oligolearn" and arguments and not arguments[0].startswith("-"):
            verb, *rest = arguments
            options = known.get(verb, set())
            given = [word.partition("=")[0] for word in rest if word.startswith("-")]
            unknown += [f"oligolearn {verb}"] if verb not in known else []
            unknown += [f"oligolearn {verb} {word}" for word in given if word not in {*options, "--help"}]
        if program == "python":
            unknown += [word for word in arguments[:1] if word.endswith(".py") and not (ROOT / word).is_file()]
    return unknown


def test_make_has_the_promised_targets() -> None:
    assert make_targets() >= {"demo", "test", "lint", "docs", "bench", "help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_in_the_pages_exists(page: Path) -> None:
    assert unknown_commands(page) == []


def test_a_command_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nmake demo coffee\noligolearn brew x\n$ oligolearn simulate \\\n  a --froth=1\n```\n")
    assert unknown_commands(page) == ["make coffee", "oligolearn brew", "oligolearn simulate --froth"]


def test_versions_agree(pyproject: dict[str, Any]) -> None:
    import oligolearn

    version = pyproject["project"]["version"]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert getattr(oligolearn, "__version__", version) == version
    assert importlib.metadata.version("oligolearn") == version
    assert citation is not None
    assert citation[1].strip("\"'") == version


def test_every_core_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)
    assert block is not None
    unexplained = [line for line in block[1].splitlines() if not re.search(r'",\s+# \w.{4,}', line)]
    assert unexplained == []


def test_constraints_pin_every_dependency_exactly(pyproject: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not VERSION.match(line)] == []

    def normal(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", requirement)[0]).lower()

    extras = pyproject["project"]["optional-dependencies"].values()
    wanted = {normal(name) for names in [pyproject["project"]["dependencies"], *extras] for name in names}
    assert wanted - {normal(line) for line in lines} == set()


def test_the_files_of_a_project_are_there() -> None:
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", "constraints.txt"):
        assert (ROOT / name).stat().st_size > 0, name
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111, ".ci/run is not executable"


def test_links_between_pages_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    broken = [f"{page.relative_to(ROOT)}: {target}" for page, target in links if not (page.parent / target).exists()]
    assert broken == []


def project_files() -> list[Path]:
    """Return the files that git tracks or would track; all text files where there is no git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [
            path.relative_to(ROOT).as_posix() for top in ("src", "tests", "docs") for path in ROOT.glob(f"{top}/**/*")
        ]
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_file_knows_one_machine() -> None:
    found = []
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert found == []


@pytest.mark.parametrize(
    ("line", "machine"),
    [
        ("open('|home|ada|x.csv')", True),
        ("path = |root|x", True),
        ("cache: |tmp|oligolearn", True),
        ("https:||example.org|home|x", False),
        ("..|shared|work|x", False),
        ("~|tmp|x", False),
    ],
)
def test_machine_paths_are_told_from_others(line: str, machine: bool) -> None:
    # Written with bars so that this file passes its own test.
    assert bool(MACHINE_PATH.search(line.replace("|", "/"))) is machine
