"""COCO's JSON files: objects, and the panoptic format."""
