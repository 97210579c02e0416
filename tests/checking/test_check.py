"""What `nica-bench check` finds, and on which line."""

import textwrap

import pytest

from helpers.cli import nica
from nica_bench import UsageError
from nica_bench.checking import check_file

METHOD = """
from dataclasses import dataclass
import numpy as np
from nica_bench import Fitted, Method, parameter

@dataclass(frozen=True)
class Mine(Method):
    '''A method.'''

    name = "mine"
    {flags}

    def fit(self, observations, streams, session):
        x = observations.train_x
        {body}
"""
SCENARIO = """
from dataclasses import dataclass
import numpy as np
from nica_bench import Dataset, Scenario, Split, Streams, parameter

@dataclass(frozen=True)
class Mine(Scenario):
    '''A scenario.'''

    family = "mine"
    equivalence = "component-wise affine"
    conditions: int = parameter(2, "number of conditions", low=1)
    samples: int = parameter(60, "training points", low=1)

    def generate(self, seed):
        rng = Streams(seed).numpy("all")
        def split(count):
            u = np.arange(count) % self.conditions
            z = rng.normal(size=(count, self.n_latents))
            return Split(np.hstack([z, z ** 2])[:, :self.n_observed] if self.n_latents > 1 else np.hstack([z, z**2, z**3]), u, z)
        {body}
"""
GOOD = "return Fitted(lambda x, u: x, x.std(0))"
MADE = "return Dataset(split(self.samples), split(30), split(30), self.conditions{more})"


def findings(tmp_path, text):
    file = tmp_path / "mine.py"
    file.write_text(textwrap.dedent(text))
    return [(f.line, f.text) for f in check_file(file).findings]


def method(tmp_path, body=GOOD, flags="version = '1'"):
    body = textwrap.indent(textwrap.dedent(body), " " * 8).strip()
    return findings(tmp_path, METHOD.format(body=body, flags=flags))


def test_a_good_method_has_none(tmp_path):
    assert method(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("return Fitted(lambda x, u: x[:, 0], x.std(0))", 13, "codes need shape (90, codes), got (90,)"),
        ("return Fitted(lambda x, u: x[:5], x.std(0))", 13, "codes need shape"),
        ("return Fitted(lambda x, u: x + np.nan, x.std(0))", 13, "codes are not finite"),
        ("return Fitted(lambda x, u: 0 * x, x.std(0))", 13, "all codes are constant"),
        ("return Fitted(lambda x, u: x, x.std(0)[:1])", 13, "importance needs shape (4,), got (1,)"),
        ("return Fitted(lambda x, u: x, x.std(0) * np.nan)", 13, "importance holds values that are not finite"),
        ("return Fitted(lambda x, u: x, x.std(0), training={'model': object()})", 13, "expected a JSON value"),
        ("return x", 13, "must return a Fitted, got ndarray"),
        ("a = np.random.normal(size=(4, 4))\nreturn Fitted(lambda x, u: x @ a, x.std(0))", 13, "(numpy.random): draw from `streams`"),
        ("np.random.seed(0)\nreturn Fitted(lambda x, u: x, x.std(0))", 13, "process (numpy.random)"),
        ("a = np.random.default_rng().normal()\nreturn Fitted(lambda x, u: x * a, x.std(0))", 13, "must come from `streams`"),
        ("r = np.random.default_rng()\nreturn Fitted(lambda x, u: x * r.normal(), x.std(0))", 13, "different codes of the same"),
        ("x.flags.writeable = True\nx *= 2\nreturn Fitted(lambda x, u: x, x.std(0))", 13, "changes the observations"),
        ("raise SystemExit(0)", 15, "SystemExit"),
        ("return Fitted(lambda x, u: x - x.mean(0), x.std(0))", 13, "must not depend on the other rows"),
        ("return Fitted(lambda x, u: x[:, :observations.n_latents], x.std(0))", 13, ""),
        ("return Fitted(lambda x, u: x * observations.train_u.mean(), x.std(0))", 15, "'NoneType' object"),
        ("x *= 2\nreturn Fitted(lambda x, u: x, x.std(0))", 15, "read-only"),
    ],
)  # fmt: skip
def test_what_a_method_does_wrong_is_found_on_its_line(tmp_path, body, line, said):
    found = method(tmp_path, body)
    if said:
        assert any(said in text and at == line for at, text in found), found
        assert not any("does not declare" in text for _, text in found)  # that is another finding
    else:  # a slice by None is all of x: it has no side information and no finding
        assert found == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("version = 2", "version must be a text"),
        ("side_information = 1", "side_information is a text of these letters, such as 'un', got 1"),
        ("rate: float = 0.1", "is a field but not a parameter"),
        ("rate: float = parameter(2.0, 'rate', high=1)", "rate is a number <= 1, got 2.0"),
        ("name = 'mine-2of3'", "name must not end in '-<n>of<D>', got 'mine-2of3'"),
        ("skip = lambda self, scenario: False", "skip must return a reason or None, got False"),
        ("bytes_per_replicate = lambda self, *sizes: -1", "must be an integer > 0, got -1"),
    ],
)
def test_what_a_method_declares_wrong(tmp_path, flags, said):
    assert any(said in text for _, text in method(tmp_path, flags=flags)), said


def test_a_method_for_images_is_tried_on_images(tmp_path):
    flags = "skip = lambda self, scenario: None if scenario.image_shape else 'these are no images'"
    assert method(tmp_path, flags=flags) == []
    shapes = "assert observations.image_shape == (1, 8, 8); return Fitted(lambda x, u: x[:, :0], x.std(0))"
    assert any("codes need shape" in text for _, text in method(tmp_path, shapes, flags))
    said = []
    (tmp_path / "mine.py").write_text(METHOD.format(body=GOOD, flags="skip = lambda self, scenario: 'it is Monday'"))
    assert check_file(tmp_path / "mine.py", said.append).findings == []
    assert said == ["Mine: not checked, since it takes neither small vectors (it is Monday) nor images (it is Monday)"]


def test_a_method_that_mixes_its_replicates(tmp_path):
    flags = """replicated = True
    def fit_group(self, group, streams, session):
        mean = np.mean([o.train_x.mean() for o in group])
        return [Fitted(lambda x, u: x * mean, o.train_x.std(0)) for o in group]"""
    found = method(tmp_path, flags=flags)
    assert [text for _, text in found] == ["Mine: a dataset's codes differ between a group of three and alone"]
    assert found[0][0] == 12


def test_a_method_that_keeps_state_between_fits(tmp_path):
    """Data reach a method by no other way: a global that the test fills stands for one."""
    text = METHOD.format(flags="version = '1'", body="import builtins\n        " + GOOD.replace("x.std", "x.std"))
    text = text.replace("lambda x, u: x,", "lambda x, u: x * (1 + len(STORE)),") + "\n"
    text = "STORE = []\n" + text.replace("import builtins", "STORE.append(1)")
    assert any("two fits with the same seeds differ" in said for _, said in findings(tmp_path, text))


def test_a_class_that_is_no_dataclass_and_one_that_lacks_fit(tmp_path):
    text = METHOD.format(flags="rate: float = parameter(0.1, 'rate')", body=GOOD)
    found = findings(tmp_path, text.replace("@dataclass(frozen=True)", ""))
    assert any("not a frozen dataclass" in said for _, said in found)
    assert any("lacks fit" in said for _, said in findings(tmp_path, text.replace("def fit(", "def fits(")))


def test_a_file_that_does_not_import(tmp_path):
    file = tmp_path / "mine.py"
    for text, said in (
        ("import nowhere_at_all", "line 1"),
        ("def f(:", "line 1"),
        ("x = 1", "defines no method, scenario or metric"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=said):
            check_file(file)
    with pytest.raises(UsageError, match="no file"):
        check_file(tmp_path / "other.py")


def test_a_good_scenario_has_none(tmp_path):
    assert findings(tmp_path, SCENARIO.format(body=MADE.format(more=""))) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("rng = np.random.default_rng(); " + MADE.format(more=""), "the same seed gives different data"),
        ("rng = Streams(0).numpy('all'); " + MADE.format(more=""), "different seeds give the same data"),
        (MADE.format(more=", truth={'mixing': object()}"), "truth must fit into a record"),
        (MADE.format(more=", family='normal'"), "its data have family 'normal', but the scenario says None"),
        ("a = split(self.samples); return Dataset(a, a, split(30), self.conditions)", "in more than one split"),
        ("return Dataset(split(70), split(30), split(30), self.conditions)", "training points, but samples is"),
        ("return Dataset(split(self.samples), split(30), split(30), 9)", "9 conditions, but the scenario says 2"),
        ("return 3", "must return a Dataset, got int"),
        ("raise SystemExit(0)", "SystemExit"),
        ("np.random.seed(seed); " + MADE.format(more=""), "process (numpy.random): draw from Streams(seed)"),
        (
            "s = split(30); a = Split(s.x, s.u, 0 * s.z); "
            "return Dataset(split(self.samples), split(30), a, self.conditions)",
            "latents [0, 1] of test are constant",
        ),
        ("return Dataset(split(self.samples), split(30), 1 / 0, 2)", "ZeroDivisionError"),
    ],
)
def test_what_a_scenario_does_wrong(tmp_path, body, said):
    found = findings(tmp_path, SCENARIO.format(body=body))
    assert any(said in text for _, text in found), found
    assert all(6 <= line <= 22 for line, _ in found)


def test_exit_codes_and_lines(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(METHOD.format(flags="version = '1'", body="return Fitted(lambda x, u: x, x.std(0)[:1])"))
    done = nica("check", file, cwd=tmp_path)
    assert done.returncode == 3
    assert f"{file}:13: Mine.fit: mine: importance needs shape" in done.stdout
    file.write_text(METHOD.format(flags="version = '1'", body=GOOD))
    assert nica("check", file, cwd=tmp_path).returncode == 0
    file.write_text("import nowhere_at_all")
    assert nica("check", file, cwd=tmp_path).returncode == 2
