"""Invoices and refunds."""

from billing.invoice import Invoice, Line
from billing.refunds import refund_all, refund_lines

__all__ = ["Invoice", "Line", "refund_all", "refund_lines"]
