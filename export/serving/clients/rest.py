"""Requests masks from a server with TensorFlow Serving's REST protocol; needs nothing but Python.

python export/serving/clients/rest.py http://localhost:8501/v1/models/keras_fcn photo.jpg other.png
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_SECONDS = 60


def segment(url: str, files: list[bytes]) -> list[dict]:
    """Sends image files, of any sizes, in one call.

    Args:
        url: The URL of the model, such as http://localhost:8501/v1/models/keras_fcn.
        files: JPEG and PNG files.

    Returns:
        For each file "mask_png_bytes", a PNG of class ids, and "class_shares", the fraction of
        pixels of each class.

    Raises:
        ValueError: If the server rejects the files; with its error message.
    """
    instances = [{"b64": base64.b64encode(data).decode()} for data in files]
    body = json.dumps({"instances": instances}).encode()
    request = urllib.request.Request(f"{url}:predict", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            predictions = json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode()) from None
    return [{**one, "mask_png_bytes": base64.b64decode(one["mask_png_bytes"]["b64"])} for one in predictions]


def main(url: str, *names: str) -> None:
    """Writes the mask of photo.jpg to photo.mask.png, and so on."""
    paths = [Path(name) for name in names]
    for path, prediction in zip(paths, segment(url, [path.read_bytes() for path in paths])):
        path.with_suffix(".mask.png").write_bytes(prediction["mask_png_bytes"])


if __name__ == "__main__":
    main(*sys.argv[1:])
