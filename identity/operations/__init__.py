"""How the front rows describe themselves: OpenAPI operation objects, and no code that runs for a request."""
