"""The edge: the few calls that must bear thousands a second, as thin ASGI code before Django."""
