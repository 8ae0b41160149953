"""The programs that compute the served networks, each in a process of its own."""
