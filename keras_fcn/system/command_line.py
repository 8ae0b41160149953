"""Command lines: options from a dataclass, error messages of one line, exit statuses."""

from __future__ import annotations

import ast
import contextlib
import errno
import io
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import tyro

from keras_fcn.errors import MARK, LostWorkerError, UserError
from keras_fcn.system.files import NO_SPACE
from keras_fcn.system.options import as_text, as_words, kinds_of, named_unknown, option, wanted_of
from keras_fcn.system.signals import Terminated
from keras_fcn.system.text import reason_of

Options = TypeVar("Options")

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143
LOST_WORKER = 138
"""Kubeflow's restart policy ExitCode restarts processes that exit with this, 137 or 143, but not with 2."""

_UNKNOWN = "Unrecognized options: "
_OF_VALUE = re.compile(r"(?:Error parsing|Missing value for argument) [('\"]*(--[\w-]+)")
"""How tyro's messages begin."""

_NO_MEMORY = re.compile(
    r"bad_alloc|[Cc]annot allocate memory|OOM when|[Oo]ut of memory|[Ii]nsufficient memory|can't start new thread"
    r"|failed to map segment"
)
"""How Python, TensorFlow, OpenCV and the loader of libraries say that memory, or a place in it, is lacking."""


def parse_options(options: type[Options], arguments: Sequence[str] | None = None) -> Options:
    """Reads the command line into a dataclass whose fields are the options and whose docstrings are the help.

    Args:
        options: The dataclass.
        arguments: The words of the command line; those of this process if not given.

    Raises:
        UserError: If an option is unknown, missing or has a value of the wrong kind.
        SystemExit: After printing the help that was asked for.
    """
    words = sys.argv[1:] if arguments is None else arguments
    message = io.StringIO()
    utf8 = io.TextIOWrapper(io.BytesIO(), "utf-8")  # tyro draws its frames after the encoding of stdout
    try:
        with contextlib.redirect_stderr(message), contextlib.redirect_stdout(utf8):
            return tyro.cli(options, prog=_program(), args=arguments)
    except (UserError, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not stop.code:  # --help: again, to the real stdout
            tyro.cli(options, prog=_program(), args=arguments)
        line = _in_our_words(_first_paragraph(message.getvalue()), options, words)
        cause: BaseException | None = stop
        while cause is not None:
            if isinstance(cause, UserError):  # raised by an option, framed by tyro
                line = as_options(cause)
            cause = cause.__context__
        raise UserError(f"{line}; see {_program()} --help") from None


def run_command(command: Callable[[], int | None]) -> None:
    """Runs a command line's main function and ends the process with its exit status.

    A `UserError` becomes one line on stderr and exit status 2, as what the operating system refuses does, a
    `LostWorkerError` one and 138, Ctrl-C ends with 130, SIGTERM with 143; any other exception is a bug and keeps its
    traceback.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    _escape_what_terminals_lack()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # they name no file: what matters of it is our own line
    try:
        status = command() or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # here a full disk is one line
        sys.exit(status)
    except UserError as error:
        print(f"error: {as_options(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except LostWorkerError as error:
        end_at_once(error)  # TensorFlow's own shutdown would wait for the others, and log errors
    except KeyboardInterrupt as interrupt:
        print(f"\ninterrupted{''.join(f': {reason}' for reason in interrupt.args)}", file=sys.stderr)
        sys.exit(TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stdout = None
        sys.exit(0)
    except Exception as error:
        if not (line := _refused(error)):
            raise
        _close_output()
        print(f"error: {line}", file=sys.stderr)
        sys.exit(USER_ERROR)


def end_at_once(error: UserError | LostWorkerError) -> NoReturn:
    """Ends this process in one line on stderr and the exit status of the error, whatever else runs in it."""
    print(f"error: {as_options(error)}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(USER_ERROR if isinstance(error, UserError) else LOST_WORKER)


def _refused(error: Exception) -> str:
    """Returns a line about what the operating system refused to Python or TensorFlow; none for any other error."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        reason = f" ({reason_of(error)})" if str(error) else ""
        return f"there is not enough memory{reason}; end other programs, or ask for less at once"
    if "No usable temporary directory" in str(error):
        return "no folder for temporary files can be written; set TMPDIR to one that can"
    if isinstance(error, OSError):
        number, file, reason = error.errno, error.filename or _open_file(error), reason_of(error)
    else:  # TensorFlow's errors say what file, and the system's words
        file, _, reason = reason_of(error).rpartition("; ")
        number = next((number for number in errno.errorcode if os.strerror(number) == reason), None) if file else None
    if number is None:
        return ""
    fix = "free disk space" if number in NO_SPACE else "see that its disk can be read and written, by you, too"
    return f"{file or 'a file or the output'}: {reason}; {fix}"


def _open_file(error: OSError) -> str:
    """Returns the name of the file that a failed call had open: Python tells names only where a file is opened."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            if isinstance(value, io.IOBase) and isinstance(name := getattr(value, "name", None), str):
                return name
        if frame.f_globals.get("__name__", "").startswith(("keras_fcn", "export")):
            break  # other files of its callers are no concern of this call
    return ""


def _close_output() -> None:
    """Forgets what could not be printed: Python would try again as it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None


def as_options(error: UserError | LostWorkerError) -> str:
    """Returns an error's line with options instead of arguments: "--tile 64 64" for "tile=(64, 64)"."""
    parts = error.marked.split(MARK)
    parts[1::2] = map(_as_option, parts[1::2])
    return "".join(parts)


def _as_option(argument: str) -> str:
    name, _, value = argument.partition("=")
    try:
        return " ".join([option(name), *(as_words(ast.literal_eval(value)) if value else [])])
    except (SyntaxError, ValueError):  # a file's words, which only look like an argument
        return argument


def command_line(name: str) -> str:
    """Returns how to call another command of this project, in the way that this one was called.

    Args:
        name: "train", "evaluate" or "predict".

    Returns:
        "keras-fcn-train" in an installed console script, "python train.py" elsewhere.
    """
    installed = Path(sys.argv[0]).name.startswith("keras-fcn-")
    return f"keras-fcn-{name}" if installed else f"python {name}.py"


def _escape_what_terminals_lack() -> None:
    """Prints letters that the locale's encoding lacks as escapes, where Python would end with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _terminate(*_) -> None:
    raise Terminated


def _program() -> str:
    """Returns how this process was called: "train.py" or "python -m export.saved_model"."""
    module = sys.modules["__main__"].__spec__
    return f"python -m {module.name.removesuffix('.__main__')}" if module else Path(sys.argv[0]).name


def _in_our_words(line: str, options: type, words: Sequence[str]) -> str:
    """Returns tyro's message about a value that is none, or an unknown option, as our own messages are written.

    Args:
        line: The message.
        options: The dataclass of the options.
        words: The command line.
    """
    kinds = {option(name): kind for name, kind in kinds_of(options).items()}
    if (found := _OF_VALUE.match(line)) and found[1] in kinds:
        given = as_text(values_of(found[1], words))
        return f"{found[1]} takes {wanted_of(kinds[found[1]])}. Received: {given}"
    if line.startswith(_UNKNOWN):
        return _UNKNOWN + named_unknown(line.removeprefix(_UNKNOWN).split(", "), kinds, 0.75)
    return line


def values_of(name: str, words: Sequence[str]) -> list[str]:
    """Returns the words that follow an option where it stands last on a command line."""
    values: list[str] = []
    for word in reversed(words):
        flag, is_joined, value = word.partition("=")
        if flag.replace("_", "-") == name:
            return [value] if is_joined else values[::-1]
        values = [] if word.startswith("--") else [*values, word]
    return values


def _first_paragraph(box: str) -> str:
    """Returns the first paragraph of tyro's framed message, as one line."""
    words: list[str] = []
    for line in box.splitlines():
        text = line.strip("│╭╮╰╯─ ")
        if line.startswith("│ ──"):
            break
        if line.startswith("│"):
            words += text.split()
    return " ".join(words).rstrip(".") or box.strip()
