"""What a request meets before its endpoint: the listener, routing, faults, authentication and rate limits."""
