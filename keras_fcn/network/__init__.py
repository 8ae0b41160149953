"""The network: backbones, the FCN decoder and its layers. Imports Keras only."""
