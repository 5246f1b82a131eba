"""Amounts of money: decimal, in the currency of the invoice."""

from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def to_cents(amount: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Round an amount to whole cents."""
    return amount.quantize(CENT, rounding=rounding)


def show(amount: Decimal, currency: str = "EUR") -> str:
    """Write an amount the way it is printed on an invoice, e.g. 1,234.50 EUR."""
    return f"{to_cents(amount):,} {currency}"
