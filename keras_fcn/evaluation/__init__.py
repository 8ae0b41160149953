"""Predictions compared with the ground truth: metrics, tables, pictures, submissions."""
