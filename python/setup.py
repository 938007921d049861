"""Compiles the extension: the core, the C layer over it and what turns that into Python, in one file for every Python from 3.11 on.

The core lies in ../native of the repository, and in native/ of a source distribution. Where SAGE_QUEUE_EXTENSION names a file that was
compiled for another platform, the wheel has that one, and the tag of SAGE_QUEUE_PLATFORM.
"""

import json
import os
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
NATIVE = HERE / "native" if (HERE / "native").is_dir() else HERE / ".." / "native"
SOURCES = json.loads((NATIVE / "sources.gypi").read_text())["variables"]
PLATFORM = "macos_sources" if sys.platform == "darwin" else "linux_sources"


def relative(path: Path) -> str:
    return os.path.relpath(path, HERE)


class BuildExt(build_ext):
    """As many compilers at a time as there are processors: the core takes a minute otherwise."""

    def build_extension(self, ext: Extension) -> None:
        given = os.environ.get("SAGE_QUEUE_EXTENSION")
        if given is not None:
            target = Path(self.get_ext_fullpath(ext.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(given, target)
            return
        headers = Path(sysconfig.get_path("include"))
        if not (headers / "Python.h").exists():  # else each of the compilers says so at length
            sys.exit(f"error: the headers of {sys.executable} are missing: there is no Python.h in {headers} (Debian: python3-dev)")
        compile_one = self.compiler._compile

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pending = []
            self.compiler._compile = lambda *arguments: pending.append(pool.submit(compile_one, *arguments))
            link = self.compiler.link_shared_object

            def link_when_compiled(*arguments, **options):
                for one in pending:
                    one.result()
                return link(*arguments, **options)

            self.compiler.link_shared_object = link_when_compiled
            super().build_extension(ext)


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        # Those beside this folder would be laid beside the release's, too.
        super().make_release_tree(base_dir, [name for name in files if not name.startswith("..")])
        for part in ("core", "c_api"):
            shutil.copytree(NATIVE / part, Path(base_dir, "native", part), dirs_exist_ok=True)
        shutil.copy(NATIVE / "sources.gypi", Path(base_dir, "native"))


class AbiWheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "cp311", "abi3", os.environ.get("SAGE_QUEUE_PLATFORM", platform)


own = sorted((HERE / "src/_native").glob("*.cc"))
core = [NATIVE / ".." / name for name in (*SOURCES["core_sources"], *SOURCES[PLATFORM])]
layer = sorted((NATIVE / "c_api").glob("*.cc"))

setup(
    ext_modules=[
        Extension(
            "sage_queue._native",
            sources=[relative(path) for path in (*own, *layer, *core)],
            depends=[relative(path) for path in NATIVE.rglob("*.h")] + ["src/_native/native.h"],
            include_dirs=[relative(NATIVE), relative(NATIVE / "c_api")],
            define_macros=[("NDEBUG", None), ("SQ_API", "")],
            extra_compile_args=["-std=c++17", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
            extra_link_args=[] if sys.platform == "darwin" else ["-Wl,-z,nodelete", "-s"],
            py_limited_api=True,
            language="c++",
        )
    ],
    cmdclass={"build_ext": BuildExt, "sdist": Sdist, "bdist_wheel": AbiWheel},
)
