"""One served model: loading, batching, decoding, encoding."""
