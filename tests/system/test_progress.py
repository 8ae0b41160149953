import io

import pytest

from keras_fcn.system.progress import progress_bar


class Stream(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


@pytest.mark.parametrize("out_is_terminal", [True, False])
@pytest.mark.parametrize("err_is_terminal", [True, False])
def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, out_is_terminal, err_is_terminal):
    out, err = Stream(out_is_terminal), Stream(err_is_terminal)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    with progress_bar(3, "image", "evaluating") as bar:
        bar.update(3)
        bar.refresh()
    assert ("evaluating: 100%" in out.getvalue()) == out_is_terminal
    assert ("evaluating: 100%" in err.getvalue()) == (err_is_terminal and not out_is_terminal)
