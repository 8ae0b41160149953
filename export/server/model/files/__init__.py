"""Image files in and masks out: headers, decoding, encoding."""
