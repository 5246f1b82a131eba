"""What a customer gets back."""

from decimal import ROUND_DOWN, Decimal

from billing.invoice import Invoice
from billing.money import ZERO, to_cents


def refund_all(invoice: Invoice) -> Decimal:
    """Return the refund of a whole invoice: exactly what was paid."""
    return invoice.gross()


def refund_lines(invoice: Invoice, positions: list[int]) -> Decimal:
    """Return the refund of some lines, by their positions from 0.

    Rounded down, so that partial refunds never add up to more than was paid.
    """
    if len(set(positions)) != len(positions):
        raise ValueError("a line can be refunded only once")
    chosen = [invoice.lines[position] for position in positions]
    exact = sum((line.net() + line.tax() for line in chosen), ZERO)
    return min(to_cents(exact, ROUND_DOWN), invoice.gross())
