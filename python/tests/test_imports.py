"""Modules import each other one way: an import in a circle works by the order in which they happen to be loaded, and breaks by another."""

import ast
import graphlib
from pathlib import Path

import sage_queue


def _name(folder: Path, file: Path) -> str:
    parts = file.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path, name: str) -> set[str]:
    """What a file imports anywhere in it, also late, or for its types alone."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            found |= {whole, *(f"{whole}.{alias.name}" for alias in node.names)}
    return found


def circle(folder: Path) -> list[str]:
    """The modules of one, the first once more at the end; empty: there is none."""
    files = {_name(folder, file): file for file in folder.rglob("*.py")}
    # `from . import name` asks the package for a module of its own or, where there is none of that name, for what stands in its __init__.
    own = {name: _imported(file, name) for name, file in files.items()}
    compiled = {_name(folder, file) for file in folder.rglob("*.pyi")}
    imports = {}
    for name, asked in own.items():
        modules = {one for one in asked if one in files}
        for package in {one for one in modules if files[one].name == "__init__.py"}:
            of_it = {one for one in asked if one.startswith(f"{package}.") and one.count(".") == package.count(".") + 1}
            if of_it and all(one in files or one in compiled for one in of_it):
                modules.discard(package)
        imports[name] = modules - {name}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_one_that_imports_it():
    folder = Path(sage_queue.__file__).parent
    assert len(list(folder.rglob("*.py"))) > 20
    assert circle(folder) == []


def test_a_circle_is_found(tmp_path):
    folder = tmp_path / "planted"
    (folder / "deep").mkdir(parents=True)
    files = {
        "__init__.py": "from .top import end\n",
        "top.py": "from . import low\nfrom .deep.one import begin\nend = 1\n",
        "low.py": "import json\n",
        "deep/__init__.py": "",
        "deep/one.py": "from __future__ import annotations\ndef begin(): ...\n",
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    assert circle(folder) == []
    for late in ("def begin():\n    from ..top import end\n", "from .. import end\n", "import planted.top\n"):
        (folder / "deep/one.py").write_text(late)
        assert {"planted.top", "planted.deep.one"} <= set(circle(folder))
