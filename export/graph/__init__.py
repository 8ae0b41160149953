"""The graphs of exports."""
