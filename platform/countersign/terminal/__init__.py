"""The terminal client: talks to a running server as any API client would."""
