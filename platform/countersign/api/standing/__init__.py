"""Standing grants over the API."""
