"""The networks: backbones, the FCN decoder and its layers. Imports Keras only."""
