"""How requests come in: the proxy, TLS, the fronts of HTTP and gRPC, and the routes that an API is written as."""
