"""A server of exported models: protocols, batching, versions, and a page to look at."""
