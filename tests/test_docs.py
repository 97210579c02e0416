"""The pages say what is so: their code and their commands are run, and their names exist."""

import re
import shlex
from pathlib import Path

import pytest

from helpers.cli import nica
from nica_bench.cli.app import build
from nica_bench.experiments import experiment_names

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", ["add-a-method.md", "add-a-metric.md", "add-a-scenario.md", "reproduce.md", "images.md"]
)
def test_code_and_commands_of_a_page_work(tmp_path, page):
    for code in blocks(page, "python"):
        name = re.match(r"# (\w+\.py)\n", code)
        assert name, "the first line of a whole file is its name"
        (tmp_path / name[1]).write_text(code)
    commands = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert commands
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "nica-bench"
        done = nica(*arguments, cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if arguments[0] == "check":
            assert "all is well" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_names_exist(page):
    known = {command.name or command.callback.__name__ for command in build().registered_commands}
    named = set(re.findall(r"(?:^|`)nica-bench ([a-z]+)(?=[\s`])", page.read_text(), re.MULTILINE))
    assert named <= known


def test_the_method_of_the_page_beats_principal_components(tmp_path):
    """It is a real method: on a linear mixture it finds the latents, which PCA does not."""
    import numpy as np

    from nica_bench import FitSession, Streams
    from nica_bench.dataset import Dataset, Split
    from nica_bench.registry import make_method

    [code] = blocks("add-a-method.md", "python")
    file = tmp_path / "joint_diagonal.py"
    file.write_text(code)
    rng = np.random.default_rng(0)
    mixing, sds = rng.normal(size=(3, 3)), rng.uniform(0.3, 3, (4, 3))
    u = np.arange(8000) % 4
    z = sds[u] * rng.normal(size=(8000, 3))
    split = Split(z @ mixing, u, z)
    method = make_method(str(file))
    seen = Dataset(split, split, split, 4).observations(method.side_information)
    codes = method.fit(seen, Streams.of_fit(0, 0), FitSession()).encode(split.x, u)
    correlation = np.abs(np.corrcoef(z, codes, rowvar=False)[:3, 3:])
    assert correlation.max(1).min() > 0.995
    assert sorted(correlation.argmax(1)) == [0, 1, 2]


def test_every_experiment_of_the_paper_has_its_command():
    text = (DOCS / "reproduce.md").read_text()
    for name in experiment_names():
        assert name in text
