"""Saves tensors by PyTorch itself and compares what is read with what it reads.

In an environment with torch, safetensors, ml-dtypes, wrapt, tabulate and wcwidth, from the root:

    PYTHONPATH=. python tests/extras/save_by_torch.py [FILE ...]

Every FILE that is given, a `.pth` of anyone's, is compared, too.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from keras_fcn.network.weights.files import read_weight_file

torch.manual_seed(0)
KERNEL = torch.randn(3, 3, 2, 4)
NET = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
VALUES = {
    "views": {"oihw": KERNEL.permute(3, 2, 0, 1), "part": KERNEL[1:, ::2], "scalar": KERNEL[0, 0, 0, 1], "all": KERNEL},
    "types": {str(dtype)[6:]: torch.arange(-3, 4).to(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float64,
              torch.int8, torch.int64)},
    "state dict": NET.state_dict(),
    "parameters": dict(NET.named_parameters()),
    "checkpoint": {"model": NET.state_dict(), "epoch": 3, "optimizer": torch.optim.Adam(NET.parameters()).state_dict()},
    "expanded": {"a": torch.ones(1).expand(2, 3), "empty": torch.zeros(0, 3)},
    "channels last": {"a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)},
}  # fmt: skip


def compare(path: Path, expected: dict) -> None:
    """Raises an error if a tensor is read otherwise than PyTorch reads it."""
    found = read_weight_file(path)
    assert list(found) == list(expected), (list(found)[:3], list(expected)[:3])
    for name, tensor in expected.items():
        theirs = tensor.detach()
        theirs = (theirs.float() if theirs.is_floating_point() else theirs).numpy()
        np.testing.assert_array_equal(found[name], theirs, strict=True, err_msg=name)


def main(files: list[str]) -> None:
    """Compares the values above in every form that PyTorch writes, and the files."""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a net.pth"
        for value, zipped, protocol, sums in itertools.product(VALUES.values(), (True, False), (2, 4), (True, False)):
            torch.serialization.set_crc32_options(sums)
            torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            loaded = torch.load(path, weights_only=False)  # its own safe reader knows protocol 2 only
            compare(path, loaded.get("model", loaded))
            count += 1
    for file in files:
        compare(Path(file), torch.load(file, map_location="cpu", weights_only=True))
    print(f"PyTorch {torch.__version__}: {count} files written and {len(files)} given are read alike")


if __name__ == "__main__":
    main(sys.argv[1:])
