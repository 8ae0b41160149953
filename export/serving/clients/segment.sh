#!/bin/sh
# Requests a mask from a server with TensorFlow Serving's REST protocol, by curl:
#
#     export/serving/clients/segment.sh photo.jpg mask.png [http://localhost:8501/v1/models/keras_fcn]
set -eu
[ $# -ge 2 ] || { echo "usage: $0 PHOTO MASK.png [MODEL_URL]" >&2; exit 2; }
answer=$(
  { printf '{"instances": [{"b64": "'; base64 < "$1" | tr -d '\n'; printf '"}]}'; } |
    curl --silent --show-error --max-time 60 --header 'Content-Type: application/json' --data-binary @- \
      "${3:-http://localhost:8501/v1/models/keras_fcn}:predict"
) || exit 2
mask=$(printf %s "$answer" | tr -d ' \n' | sed -n 's/.*"mask_png_bytes":{"b64":"\([^"]*\)".*/\1/p')
[ -n "$mask" ] || { echo "error: $1: $answer" >&2; exit 2; }
printf %s "$mask" | base64 -d > "$2"
