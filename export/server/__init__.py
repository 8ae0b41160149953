"""A server of exported models: protocols, batching, versions, and a web page."""
