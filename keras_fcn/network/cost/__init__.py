"""The cost of a network: traced layers, receptive fields, parameters, operations, memory."""
