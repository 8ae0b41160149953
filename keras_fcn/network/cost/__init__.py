"""What a network costs: layers traced, receptive fields, parameters, operations, memory."""
