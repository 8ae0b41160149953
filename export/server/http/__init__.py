"""What lies between a connection and the application: limits of connections and bodies, answers."""
