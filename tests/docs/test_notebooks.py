"""The notebooks run, say what they say they do, and are kept without outputs."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from docs_kit import ROOT, page
from test_pages import broken_links

BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What each must print: numbers differ each time, since privacy noise has no seed.
PRINTED = {
    "hospital": [
        r"copula: grid, label tables, class means, covariance; epsilon (0\.9\d+|1\.0000)\n",
        r"spent: epsilon (0\.9\d+|1\.0000) of 1\n",
        r"internal edition: \w+; public edition: \w+\n",
        r"signed by Heart clinic; epsilon 1 at delta 1e-05, billed again",
    ],
    "hospitals": [
        r"'alpha': '66%', 'beta': '24%', 'gamma': '11%'",
        r"in one of them: epsilon 1\.00; in all three: 1\.83; the sum would be 3\n",
        r"the region  AUROC 0\.[678]\d\d",
    ],
    "researcher": [
        r"with an infarct: [\d.]+% as they are, 50\.0% balanced\n",
        r"as if they were patients: odds ratio \d",
        r"with what the file lacks: odds ratio \d",
        r"standard error ([2-9]|\d\d)\.\d times as large; the true odds ratio is 2\.46\n",
    ],
}


def cells(path, kind):
    return ["".join(cell["source"]) for cell in nbformat.read(path, 4)["cells"] if cell["cell_type"] == kind]


def test_there_are_three_and_the_page_names_each():
    assert [path.stem for path in BOOKS] == sorted(PRINTED)
    linked = re.findall(r"\(\.\./notebooks/(\w+)\.ipynb\)", page("docs/notebooks.md").text)
    assert sorted(linked) == sorted(PRINTED)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert [cell["id"] for cell in book["cells"]] == [f"{path.stem}-{at}" for at in range(1, len(book["cells"]) + 1)]
    coded = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in coded] == [([], None)] * len(coded)
    assert set(book["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path):
    assert broken_links("\n\n".join(cells(path, "markdown")), path.parent) == []


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each notebook prints; in a process of its own, because the kernels' clients leave sockets open."""
    world = {name: text for name, text in os.environ.items() if not name.startswith("WARDGAN_")}
    world["IPYTHONDIR"] = str(tmp_path_factory.mktemp("ipython"))
    words = [sys.executable, ROOT / "scripts" / "run_notebooks.py"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=600, env=world)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = re.split(r"^== (\w+)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", PRINTED)
def test_a_notebook_prints(name, printed):
    assert [wanted for wanted in PRINTED[name] if not re.search(wanted, printed[name])] == [], printed[name]
