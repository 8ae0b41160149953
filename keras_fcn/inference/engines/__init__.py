"""The programs that compute a trained network, one a file: Keras, SavedModels, ONNX Runtime, OpenVINO, LiteRT."""
