"""The bell in the API: list, mark as read, choose."""
