"""Being out of office over the API."""
