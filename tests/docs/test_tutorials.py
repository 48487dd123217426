"""The tutorials can be typed as they stand, and show what comes out."""

import importlib.util
import os
import shutil
import sys

import pytest
from docs_kit import ROOT

_spec = importlib.util.spec_from_file_location("tutorials", ROOT / "scripts" / "tutorials.py")
tutorials = importlib.util.module_from_spec(_spec)
sys.modules["tutorials"] = tutorials
_spec.loader.exec_module(tutorials)


def differences(name, folder):
    """Types a page in a folder; gives what the page does not show."""
    before, world = os.getcwd(), dict(os.environ)
    os.chdir(folder)
    for variable in [one for one in world if one.startswith("WARDGAN_")]:
        del os.environ[variable]
    try:
        done = list(tutorials.typed(tutorials.page(name).read_text(encoding="utf-8")))
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(world)
    assert done
    return "".join(f"$ {one.command}\n{one.shown}--- but\n{out}" for one, out in done if not one.holds(out))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder in which the steward's tutorial ended. All attacks together accuse a safe generator in one of twenty."""
    for _ in range(3):
        folder = tmp_path_factory.mktemp("home")
        wrong = differences(tutorials.FIRST, folder)
        if not wrong:
            break
        assert "The release is refused" in wrong, wrong
    return folder, wrong


def test_the_stewards(home):
    assert home[1] == ""


@pytest.mark.parametrize("name", [name for name in tutorials.PAGES if name != tutorials.FIRST])
def test_the_others(name, home, tmp_path):
    assert tutorials.PAGES[name] == tutorials.FIRST
    assert differences(name, shutil.copytree(home[0], tmp_path / "folder")) == ""


def test_every_tutorial_is_typed():
    folders = [ROOT / "docs" / name for name in ("tutorials", "howto")]
    found = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for one in folders for path in one.glob("*.md")}
    assert found == set(tutorials.PAGES)


PAGE = """\
Save this as `a.txt`:

```yaml
x: 1
```

```console
$ wardgan one   # as is
1 patient
$ wardgan two
```

<!-- varies: lines -->
```console
$ wardgan three
Made: 1
Note: 2
```
"""


def test_a_page_is_read_as_a_reader_does():
    file, one, two, three = tutorials.steps(PAGE)
    assert file == ("a.txt", "x: 1\n")
    assert (one.command, one.shown, one.varies) == ("wardgan one   # as is", "1 patient\n", "")
    assert (two.shown, three.varies) == ("", "lines")


@pytest.mark.parametrize(
    ("varies", "output", "holds"),
    [
        ("", "b 1\nnext\n", True),
        ("", "b 2\nnext\n", False),
        ("", "b 1\n", False),
        ("numbers", "b 2,000.5\nnext\n", True),
        ("numbers", "b  sha0123456789abcdef\nnext\n", False),
        ("numbers", "c 1\nnext\n", False),
        ("lines", "b other\nNote: 3\nnext\n", True),
        ("lines", "b other\n", False),
        ("lines", "b 1\nerror: no\nnext\n", False),
    ],
)
def test_what_holds(varies, output, holds):
    assert tutorials.Typed("x", "b 1\nnext\n", varies).holds(output) is holds


def test_dots_stand_for_any_lines():
    cut = tutorials.Typed("x", "a\n...\nz\n")
    assert cut.holds("a\nz\n")
    assert cut.holds("a\nb\nc\nz\n")
    assert not cut.holds("a\nb\n")


def test_what_comes_out_is_written_into_the_page():
    made = tutorials.renewed(PAGE, iter(["2 patients\n", "", "Made: 3\n"]))
    assert made == PAGE.replace("1 patient", "2 patients").replace("Made: 1\nNote: 2", "Made: 3")
