"""Files that change while a run trains, without a training."""

import os

from keras_fcn.runs.known_files import KnownFiles
from keras_fcn.training.inputs.watch import WatchedFiles


def test_files_that_change_in_an_epoch_are_named_after_it(tmp_path):
    known, lines, files = KnownFiles(), [], [tmp_path / f"{name}.jpg" for name in "abc"]
    for path in files:
        path.write_bytes(b"pixels")
        known.digest(path)
    watch = WatchedFiles(known, lines.append)
    watch.on_epoch_end(0)
    assert lines == []
    for path in files[1:]:
        path.write_bytes(b"others")  # as long as before
        os.utime(path, ns=(1, 1))
    watch.on_epoch_end(1)
    watch.on_epoch_end(2)
    (line,) = lines
    assert line.startswith(
        f"Warning  {files[1]} and 1 more: changed or removed since this run checked its files, so epoch 2 saw two"
    )
