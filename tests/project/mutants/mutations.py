"""Small changes of a source file, by mutmut's operators: `n + 1` becomes `n - 1`, an argument is left out ..."""

import ast
import difflib
from pathlib import Path

import libcst
from asking import Mutant
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

UNTOUCHED = (libcst.Annotation, libcst.Decorator, libcst.ImportFrom, libcst.Import)
"""Types are mypy's, and a decorator or import without its argument only fails to load."""


class Changes(libcst.CSTVisitor):
    """Finds what mutmut's operators change: (line of the statement, line, node, node in its place).

    mutmut's own search leaves out decorated functions and all outside functions: it keeps every mutant in one file.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.statement = 0
        self.found: list[tuple[int, int, libcst.CSTNode, libcst.CSTNode]] = []

    def on_visit(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, UNTOUCHED):
            return False
        if isinstance(node, libcst.BaseStatement | libcst.BaseSmallStatement):
            self.statement = self.get_metadata(PositionProvider, node).start.line
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                line = self.get_metadata(PositionProvider, node).start.line
                self.found += [(self.statement, line, node, changed) for changed in operator(node)]
        return True


def mutants_of(path: Path):
    """Returns a function for each mutant of a file that makes it; None if it is no program, or the same one."""
    source = path.read_text(encoding="utf-8")
    wrapper, changes = MetadataWrapper(libcst.parse_module(source)), Changes()
    wrapper.visit(changes)
    original = ast.dump(ast.parse(source))

    def make(statement, line, node, changed):
        mutated = wrapper.module.deep_replace(node, changed).code
        try:
            if ast.dump(ast.parse(mutated)) == original:
                return None
            compile(mutated, path, "exec")
        except SyntaxError:
            return None
        lines = [*difflib.ndiff(source.splitlines(), mutated.splitlines())]
        before, after = (" ".join(text[2:].strip() for text in lines if text[0] == sign) for sign in "-+")
        return Mutant(path, statement, line, mutated, before, after)

    return [lambda found=found: make(*found) for found in changes.found]
