"""Evaluation against the ground truth: metrics, tables, pictures, submissions."""
