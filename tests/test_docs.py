"""The pages say what is so: their code and their commands are run, and their names exist."""

import re
import shlex

import pytest
from rooms import rooms

from helpers import ROOT
from helpers.cli import nica
from nica_bench.cli.app import build
from nica_bench.experiments import experiment_names
from nica_bench.metrics import METRICS

DOCS, RESULTS = ROOT / "docs", ROOT / "results"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", RESULTS / "README.md"]


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
            assert "no findings" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_commands_that_a_page_names_exist(page):
    known = {command.name or command.callback.__name__ for command in build().registered_commands}
    code = re.findall(r"^```\w*\n.*?^```|`[^`\n]+`", page.read_text(), re.MULTILINE | re.DOTALL)
    named = {name for text in code for name in re.findall(r"(?:^|`)nica-bench ([a-z]+)(?=[\s`])", text, re.MULTILINE)}
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


def test_the_glossary_defines_every_metric_and_its_range():
    sections = re.findall(r"^#### (.+)\n((?:(?!#).*\n)*)", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    defined = {name: text for heading, text in sections for name in re.findall(r"`(\w+)`", heading)}
    assert defined.keys() == METRICS.keys()
    assert [name for name, text in defined.items() if "Range:" not in text] == []


def test_the_glossary_names_every_column_of_the_tables_of_scores():
    named = set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", (DOCS / "glossary.md").read_text()))
    for page in sorted(RESULTS.glob("*/table.md")):
        headers = re.findall(r"^\| method \|.*\|$", page.read_text(), re.MULTILINE)
        for header in headers[:1]:
            assert {column.strip() for column in header.strip("|").split("|")} <= named, page


def test_every_published_result_has_a_page_with_all_its_figures():
    for folder in sorted(path.parent for path in RESULTS.glob("*/records.parquet")):
        page = (DOCS / "published" / f"{folder.name}.md").read_text()
        assert f"../../results/{folder.name}/table.md" in page
        shown = set(re.findall(rf"\.\./\.\./results/{folder.name}/figures/([\w-]+\.png)", page))
        assert shown == {figure.name for figure in (folder / "figures").glob("*.png")}
        assert f"\n{folder.name}\n" in (DOCS / "published" / "index.md").read_text()


def test_files_that_the_pages_for_contributors_name_exist():
    for page in (DOCS / "architecture.md", ROOT / "CONTRIBUTING.md"):
        named = re.findall(r"`((?:nica_bench|methods|scenarios|tests|docs|benchmarks)/[\w./-]*)`", page.read_text())
        assert named
        for name in named:
            assert (ROOT / name).exists(), name


def test_the_architecture_page_says_what_every_room_holds():
    [table] = re.findall(r"^\| room \|.*\n((?:\|.*\n)+)", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named >= rooms().keys() - {"", "__main__", "_version"}


def test_the_picture_in_contributing_shows_every_room_and_no_import_runs_up():
    [picture] = re.findall(r"^```rooms\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    line = {name: i for i, row in enumerate(picture.splitlines()) for name in row.split()}
    graph = {name: targets for name, targets in rooms().items() if name not in ("", "__main__", "_version")}
    assert line.keys() >= graph.keys()
    for name, targets in graph.items():
        for target in targets & line.keys():
            assert line[name] <= line[target], f"{name} imports {target}"


def test_the_method_of_the_readme_runs_and_keeps_the_contract(tmp_path):
    [code] = [
        c for c in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "class " in c
    ]
    (tmp_path / "whitening.py").write_text(code)
    done = nica("check", "./whitening.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
