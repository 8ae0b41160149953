#!/usr/bin/env bash
# nibabel 5.4.2: class ids that were saved as floats over a scan's int16 header come back a hair beside whole numbers.
#
# Guess: ids 0 to 5 fit into the int16 of the header that the scan has, so they are stored as they are; nothing is rounded.
# Seen: floats are stretched over the whole range of the header's type, by a slope and an intercept in the file, whatever they
# are: 5 is read as 4.9999999988, and a cast to an integer, as a training does, makes it 4; every class but 0 becomes the one
# below. Of an integer type they are stored as they are; but `get_fdata` gives floats: to load, edit and save is enough.
# Who is hurt: who saves predictions or edited masks with `Nifti1Image(mask, scan.affine, scan.header)`: viewers round and show
# the right classes, and a training with them learns others. Cure: `mask.astype("uint8")` before saving.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nibabel==5.4.2 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import nibabel
import numpy as np

nibabel.save(nibabel.Nifti1Image(np.zeros((32, 32, 4), np.int16), np.eye(4)), "scan.nii.gz")
scan = nibabel.load("scan.nii.gz")
ids = np.random.default_rng(0).integers(0, 6, scan.shape)


def wrong_after(mask):
    """Returns the ids that are others after saving with the scan's header, loading and a cast, and what 5 is read as."""
    nibabel.save(nibabel.Nifti1Image(mask, scan.affine, scan.header), "mask.nii.gz")
    stored = nibabel.load("mask.nii.gz")
    assert stored.get_data_dtype() == np.int16
    values = stored.get_fdata()
    assert np.array_equal(values.round(), ids)
    return np.unique(ids[values.astype("uint8") != ids]).tolist(), values[ids == 5].max()


for dtype in ("uint8", "int64", "float32", "float64"):
    wrong, five = wrong_after(ids.astype(dtype))
    print(f"nibabel {nibabel.__version__}, ids saved as {dtype}: 5 is read as {five:.10f}, a cast changes {wrong}")
    assert bool(wrong) == dtype.startswith("float"), "this has changed"

nibabel.save(nibabel.Nifti1Image(ids.astype("int16"), scan.affine), "mask.nii.gz")
mask = nibabel.load("mask.nii.gz")
changed = wrong_after(mask.get_fdata())[0]
print(f"a mask of int16, loaded by get_fdata and saved again: a cast changes {changed}")
assert changed, "this has changed"
PYTHON
