"""Every route, everybody and every method: what is declared, and what is answered."""
