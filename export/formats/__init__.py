"""The common parts of the exports to ONNX, OpenVINO and LiteRT."""
