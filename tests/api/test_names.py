"""The package's names: what importing it costs, and that their types are those of the stub."""

import ast
import subprocess
import sys

import nica_bench as nb
from helpers import ROOT

SLOW = ("torch", "pandas", "scipy", "sklearn", "matplotlib", "rich", "typer")


def test_importing_the_package_imports_nothing_slow():
    code = f"import sys, nica_bench; print([n for n in {SLOW} if n in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_api_does_without_torch_until_something_is_trained():
    code = "import sys, nica_bench as nb; nb.run; nb.read; nb.evaluate; nb.TorchMethod; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_every_name_is_there_and_in_the_stub():
    for name in nb.__all__:
        assert getattr(nb, name) is not None
    assert set(nb.__all__) <= set(dir(nb))
    stub = ast.parse((ROOT / "nica_bench" / "__init__.pyi").read_text())
    assert {alias.asname for node in stub.body for alias in node.names} == set(nb.__all__)


def test_another_name_is_none():
    assert not hasattr(nb, "nothing")
