"""Lists of classes as other programs write them: tables, text, JSON and YAML, read by content."""
