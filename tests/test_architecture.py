"""The rules of the house, read off the source: who may import whom, and what nobody may do.

Nothing is imported or run: every module under `src/oligolearn` is parsed, and every import counts, those inside
functions and under `TYPE_CHECKING` too. The tests at the end feed the rules a tree that breaks them.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "oligolearn"

# A part may import the parts of the groups to its left (here: above), and itself.
GROUPS = (
    ("machine",),
    ("writing", "workers", "rare_collection", "on_first_use"),
    ("data", "views", "nn"),
    ("pretext", "adapt", "kmers"),
    ("training", "saving"),
    ("estimators",),
    ("explain",),
    ("report",),
    ("study",),
    ("cli",),
    ("__main__",),
)
# These may import less of ours than their place allows.
NARROWED = {"pretext": {"nn"}, "adapt": {"nn"}, "training": {"machine", "writing"}, "report": {"writing"}}
# This one imports what a table in a package says; the package names the same where types are checked, as a test says.
IMPORTS_BY_TABLE = "on_first_use.py"
# These may import nothing from outside but the standard library and what is named.
THIRD_PARTY = {"nn": {"torch"}, "views": {"torch"}, "pretext": {"torch"}, "adapt": {"torch"}}

PICKLING_MODULES = {"pickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
PICKLING = {"torch.load", "torch.save", "joblib.dump", "joblib.load", "pandas.read_pickle"}
DRAWS = ("bernoulli", "multinomial", "normal", "poisson", "rand", "randint", "randn", "randperm")
TORCH_DRAWS = {f"torch.{name}" for name in (*DRAWS, "rand_like", "randint_like", "randn_like")}
IN_PLACE = ("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_")
TENSOR_DRAWS = {"bernoulli", "multinomial", *IN_PLACE}
WITH_GENERATORS = {"views", "training", "pretext", "adapt"}


class Module(NamedTuple):
    """One parsed file: where it is, the part it belongs to, what it imports and under which names."""

    file: str
    part: str
    tree: ast.Module
    imports: list[tuple[int, str]]
    aliases: dict[str, str]


def allowed_imports() -> dict[str, set[str]]:
    """Return for every part the parts it may import."""
    allowed: dict[str, set[str]] = {}
    left: set[str] = set()
    for group in GROUPS:
        allowed |= {part: NARROWED.get(part, left) | {part} for part in group}
        left = left | set(group)
    return allowed


def parse(path: Path, root: Path) -> Module:
    """Parse one file of the package in folder `root`."""
    file = path.relative_to(root)
    inside = file.with_suffix("").parts
    package = inside[:-1]  # of `__init__.py` as well: what a single leading dot means
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imports: list[tuple[int, str]] = []
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        for local, full in imported(node, (root.name, *package)):
            imports.append((getattr(node, "lineno", 1), full))
            # `import torch.nn` binds `torch`, not `torch.nn`
            aliases[local] = local if full.startswith(f"{local}.") else full
    return Module(file.as_posix(), inside[0], tree, imports, aliases)


def imported(node: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the local and the full name of everything that a statement or call imports."""
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield alias.asname or alias.name.partition(".")[0], alias.name
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package[: len(package) + 1 - level] if level else ()
            for alias in names:
                yield alias.asname or alias.name, ".".join((*above, *([module] if module else []), alias.name))
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[target, *_]):
            if called in {"import_module", "__import__"}:
                name = str(target.value) if isinstance(target, ast.Constant) else "<computed>"
                yield name, name


def violations(root: Path) -> list[str]:
    """Return every broken rule of the package in folder `root` as `file:line: what is wrong`."""
    found = []
    for path in sorted(root.rglob("*.py")):
        if path == root / "__init__.py":  # the one place that sees everything
            continue
        module = parse(path, root)
        problems = [
            *import_violations(module, root.name),
            *statement_violations(module),
            *table_violations(module, path),
        ]
        if "utils" in Path(module.file).with_suffix("").parts:
            problems.append((1, "named after nothing it does: no `utils`"))
        found += [f"{module.file}:{line}: {problem}" for line, problem in sorted(set(problems))]
    return found


def import_violations(module: Module, package: str) -> Iterator[tuple[int, str]]:
    """Yield the imports that run against the order of the parts."""
    allowed = allowed_imports()
    if module.part not in allowed:
        yield 1, f"'{module.part}' has no place in GROUPS of {Path(__file__).name}"
        return
    for line, name in module.imports:
        top, *inside = name.split(".")
        outside = THIRD_PARTY.get(module.part)
        if name == "<computed>" and module.file != IMPORTS_BY_TABLE:
            yield line, "imports a computed name, which hides from this test"
        elif top == package and not inside:
            yield line, f"imports {package} itself, and so everything"
        elif top == package and inside and inside[0] not in allowed[module.part]:
            yield line, f"{module.part} may not import {inside[0]}"
        elif top != package and outside is not None and top not in outside | sys.stdlib_module_names:
            yield line, f"{module.part} may not import {top}, only {', '.join(outside)}"
        if PICKLING_MODULES & set(name.split(".")):
            yield line, f"imports {name}: nothing is pickled here"


def table_violations(module: Module, path: Path) -> Iterator[tuple[int, str]]:
    """Yield what a package imports on first use and does not import where types are checked, or the other way round."""
    table = next((node for node in module.tree.body if assigns(node, "_HOMES")), None)
    if table is None:
        return
    homes = ast.literal_eval(table.value)
    checked = next(node for node in module.tree.body if isinstance(node, ast.If))
    package = ".".join((SOURCE.name, *path.parent.relative_to(path.parents[1]).parts))
    imported = {
        (node.module, alias.name) for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    told = {(f"{package}.{home}", name) for home, names in homes.items() for name in names}
    if imported != told:
        differ = ", ".join(sorted(name for _, name in imported ^ told))
        yield table.lineno, f"on first use and where types are checked, it does not import the same: {differ}"
    exported = next(ast.literal_eval(node.value) for node in module.tree.body if assigns(node, "__all__"))
    if set(exported) != {name for _, name in told}:
        yield table.lineno, "`__all__` and what it imports on first use are not the same"
    # To import a module binds its name in the package, where a function of that name would be hidden by it
    modules = {file.stem for file in path.parent.glob("*.py")}
    for name in sorted(modules & set(exported)):
        yield table.lineno, f"{name} is the name of a module as well"


def assigns(node: ast.stmt, name: str) -> TypeGuard[ast.Assign]:
    """Whether a statement assigns to the variable `name`."""
    return isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)


def statement_violations(module: Module) -> Iterator[tuple[int, str]]:
    """Yield pickling, draws from global random state, and asserts."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Assert():
                yield node.lineno, "assert: raise ValueError or TypeError, which say how to mend it"
            case ast.Attribute() | ast.Name():
                yield from name_violations(node, full_name(node, module.aliases))
            case ast.Call():
                yield from call_violations(node, module)


def name_violations(node: ast.Attribute | ast.Name, name: str) -> Iterator[tuple[int, str]]:
    if name in PICKLING or name.endswith(".to_pickle"):
        yield node.lineno, f"{name} pickles: use safetensors, JSON, CSV or Parquet"
    owner, _, last = name.rpartition(".")
    # Their functions share one hidden state; their classes (Generator, Random) carry their own.
    if owner in {"numpy.random", "random"} and last[:1].islower() and last != "default_rng":
        yield node.lineno, f"{name} draws from global state: use numpy.random.default_rng(seed)"


def call_violations(node: ast.Call, module: Module) -> Iterator[tuple[int, str]]:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    match keywords.get("allow_pickle"):
        case ast.Constant(value=True):
            yield node.lineno, "allow_pickle=True runs whatever is in the file"
    name = full_name(node.func, module.aliases)
    method = node.func.attr if isinstance(node.func, ast.Attribute) and not name.startswith("torch.") else ""
    draws = name in TORCH_DRAWS or method in TENSOR_DRAWS
    if module.part in WITH_GENERATORS and draws and "generator" not in keywords:
        yield node.lineno, f"{name or method} without generator= draws from global state"
    if module.part in {"pretext", "adapt"} and method == "item":
        yield node.lineno, ".item() waits for the device and cannot be stacked over replicas"


def full_name(node: ast.AST, aliases: dict[str, str]) -> str:
    """Return `numpy.random.rand` for `np.random.rand`, `<local>.x` for what is no import, "" for what has no name."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, f"<local>.{node.id}")
    if isinstance(node, ast.Attribute) and (owner := full_name(node.value, aliases)):
        return f"{owner}.{node.attr}"
    return ""


def test_the_source_keeps_the_rules() -> None:
    assert SOURCE.is_dir()
    assert not violations(SOURCE), "\n" + "\n".join(violations(SOURCE))


def test_every_group_imports_leftward_only() -> None:
    order = [part for group in GROUPS for part in group]
    for part, allowed in allowed_imports().items():
        assert all(order.index(other) <= order.index(part) for other in allowed)


LAZY = """from typing import TYPE_CHECKING
from oligolearn.on_first_use import importer
if TYPE_CHECKING:
    from oligolearn.kmers.words import Words
__all__ = ["Words"]
_HOMES = {"words": ("Words",)}
__getattr__ = importer(__name__, _HOMES)
"""

CLEAN = {
    "__init__.py": "from oligolearn.cli import main\nfrom oligolearn.data import read\n",
    "data/__init__.py": "import numpy as np\nimport anndata\nread = np.random.default_rng(0)\n",
    "nn/mlp.py": "import math\nfrom typing import Any\nimport torch.nn\nfrom oligolearn.nn import heads\n",
    "nn/heads.py": "import torch\n",
    "views/noise.py": "import torch\ndef noise(x, generator):\n    return x + torch.randn(3, generator=generator)\n",
    "pretext/swav.py": "import torch\nimport oligolearn.nn\nfrom ..nn.mlp import MLP\ntorch.nn.init.normal_(MLP.w)\n",
    "training.py": "import torch\nfrom rich.progress import Progress\n",
    "saving.py": "from oligolearn.nn import mlp\nimport safetensors\n",
    "kmers/__init__.py": LAZY,
    "kmers/words.py": "class Words: ...\n",
    "estimators/swav.py": "from oligolearn import training\nfrom numpy.random import Generator\nrandom.normal()\n",
    "report/html.py": "import jinja2\n",
    "study/plan.py": "def plan():\n    from oligolearn.report import html\nimport oligolearn.estimators\n",
    "cli/app.py": "from oligolearn.study.plan import plan\n",
}


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Write a package named oligolearn and return its folder."""
    package = root / "oligolearn"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    return package


def test_a_tree_that_keeps_the_rules_has_no_violation(tmp_path: Path) -> None:
    assert violations(write_tree(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("data/io.py", "from oligolearn.nn import MLP", "data may not import nn"),
        ("data/io.py", "from ..views import mask", "data may not import views"),
        ("nn/mlp.py", "import numpy as np", "nn may not import numpy, only torch"),
        ("nn/mlp.py", "from oligolearn.data.scaling import zscore", "nn may not import data"),
        ("views/noise.py", "import scipy.stats", "views may not import scipy"),
        ("pretext/swav.py", "from oligolearn.views import mask", "pretext may not import views"),
        ("pretext/swav.py", "from oligolearn import training", "pretext may not import training"),
        ("pretext/swav.py", "from .. import adapt", "pretext may not import adapt"),
        ("adapt/dann.py", "import oligolearn.pretext.swav", "adapt may not import pretext"),
        ("training.py", "from .nn import mlp", "training may not import nn"),
        ("training.py", "from oligolearn import saving", "training may not import saving"),
        ("saving.py", "def f():\n    from oligolearn.estimators import X", "saving may not import estimators"),
        ("report/html.py", "from oligolearn.data import read", "report may not import data"),
        ("estimators/a.py", "import importlib\nimportlib.import_module('oligolearn.cli')", "may not import cli"),
        ("estimators/a.py", "import importlib\nimportlib.import_module(name)", "computed name"),
        ("study/plan.py", "import oligolearn.cli.app as app", "study may not import cli"),
        ("study/plan.py", "import oligolearn", "imports oligolearn itself"),
        ("study/plan.py", "from oligolearn import read_expression", "study may not import read_expression"),
        (
            "explain/ig.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from oligolearn.study import plan",
            "explain/ig.py:3: explain may not import study",
        ),
        ("novelty/a.py", "import torch", "'novelty' has no place in GROUPS"),
        ("data/utils.py", "", "no `utils`"),
        ("data/utils/io.py", "", "no `utils`"),
        ("data/io.py", "import pickle", "nothing is pickled"),
        ("data/io.py", "from joblib.externals.cloudpickle import dumps", "nothing is pickled"),
        ("saving.py", "from torch import load\nload('m')", "saving.py:2: torch.load pickles"),
        ("saving.py", "import torch as t\nt.save({}, 'm')", "torch.save pickles"),
        ("study/store.py", "import joblib\njoblib.dump({}, 'm')", "joblib.dump pickles"),
        ("data/io.py", "import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle"),
        ("data/io.py", "frame.to_pickle('x')", "pickles"),
        ("data/simulate.py", "import numpy as np\nnp.random.seed(1)", "numpy.random.seed draws from global state"),
        ("data/simulate.py", "from numpy import random as r\nr.normal()", "numpy.random.normal draws"),
        ("data/simulate.py", "from numpy.random import rand\nrand(3)", "numpy.random.rand draws"),
        ("study/plan.py", "import random\nrandom.shuffle([])", "random.shuffle draws"),
        ("views/noise.py", "import torch\ntorch.rand(3)", "torch.rand without generator="),
        ("views/noise.py", "def f(x):\n    return x.normal_()", "normal_ without generator="),
        ("training.py", "from torch import randperm\nrandperm(3)", "torch.randperm without generator="),
        ("pretext/swav.py", "def f(loss):\n    return loss.item()", ".item()"),
        ("cli/app.py", "def f(path):\n    assert path", "assert: raise ValueError"),
        ("kmers/__init__.py", LAZY.replace("import Words", "import Counts"), "not import the same: Counts, Words"),
        ("kmers/__init__.py", LAZY.replace('["Words"]', "[]"), "`__all__` and what it imports"),
        ("kmers/__init__.py", LAZY.replace("Words", "words"), "words is the name of a module as well"),
    ],
)
def test_a_broken_rule_is_reported_where_it_is(tmp_path: Path, file: str, text: str, expected: str) -> None:
    found = violations(write_tree(tmp_path, {**CLEAN, file: text + "\n"}))
    assert len(found) == 1
    assert found[0].startswith(f"{file}:")
    assert expected in found[0]
