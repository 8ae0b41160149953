"""Mutants of a program of four lines: one that its test must notice, and one that it cannot."""

import json
import linecache
import os
import subprocess
import sys
from pathlib import Path

from asking import Mutant, MutatedFinder
from mutations import mutants_of

HERE = Path(__file__).parent
PROGRAM = '''def double(number: int = 2) -> int:
    """Doubles."""
    return number * 2


def never(number):
    return number + 1
'''
TRY = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from asking import Mutant, Tests
path = Path("double.py").resolve()
tests = Tests(path.parent, [path], ["."])
text = path.read_text()
ends = {}
for line, after in ((3, "number * 3"), (3, "number ** 2"), (3, "number *"), (3, "[0] * 2**40"), (7, "number - 1")):
    before = ("number * 2", "number + 1")[line == 7]
    ends[after] = tests.notice(Mutant(path, line, line, text.replace(before, after), before, after))
print(json.dumps([ends, path.read_text() == text]))
"""


def test_a_change_that_a_test_sees_is_noticed_and_another_remains(tmp_path):
    (tmp_path / "double.py").write_text(PROGRAM)
    (tmp_path / "test_double.py").write_text("from double import double\n\ndef test():\n    assert double(2) == 4\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    words = [sys.executable, "-c", TRY, str(HERE)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=300)
    assert not done.returncode, done.stderr + done.stdout
    ends, unchanged = json.loads(done.stdout)
    assert ends == {
        "number * 3": "test",
        "number ** 2": "",  # 2 ** 2 is 4, too
        "number *": "import",
        "[0] * 2**40": "test",  # and the memory that it asks for is not there
        "number - 1": "",  # no test calls it
    }
    assert unchanged
    assert not [path for path in tmp_path.rglob("*.pyc") if path.name.startswith("double")]


def test_what_mutmut_changes(tmp_path):
    """Not types, not docstrings."""
    (tmp_path / "double.py").write_text(PROGRAM)
    mutants = [make() for make in mutants_of(tmp_path / "double.py")]
    assert [(mutant.line, mutant.before, mutant.after) for mutant in mutants] == [
        (1, "def double(number: int = 2) -> int:", "def double(number: int = 3) -> int:"),
        (3, "return number * 2", "return number / 2"),
        (3, "return number * 2", "return number * 3"),
        (7, "return number + 1", "return number - 1"),
        (7, "return number + 1", "return number + 2"),
    ]


def test_what_reads_sources_reads_the_change(tmp_path, monkeypatch):
    """AutoGraph has Python read a file anew before it translates a function of it."""
    monkeypatch.setattr(linecache, "updatecache", linecache.updatecache)
    (tmp_path / "double.py").write_text(PROGRAM)
    (tmp_path / "other.py").write_text("a = 1\n")
    path = tmp_path / "double.py"
    MutatedFinder(Mutant(path, 3, 3, "return number * 3\n", "", ""))
    for name, lines in ((path, ["return number * 3\n"]), (tmp_path / "other.py", ["a = 1\n"])):
        assert linecache.getlines(str(name)) == linecache.updatecache(str(name)) == lines
        linecache.checkcache(str(name))
        assert linecache.getlines(str(name)) == lines
