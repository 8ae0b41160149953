"""Predicting images and videos, and writing the results to files."""
