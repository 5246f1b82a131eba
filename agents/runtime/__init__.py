"""The asyncio runtime that carries out steps inside an agent worker."""
