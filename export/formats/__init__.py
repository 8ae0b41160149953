"""What the exports to ONNX, OpenVINO and LiteRT share."""
