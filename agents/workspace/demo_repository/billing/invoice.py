"""An invoice: lines, net, tax and gross."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from billing.money import ZERO, to_cents


@dataclass(frozen=True)
class Line:
    """One position of an invoice."""

    description: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError(f"{self.description}: the quantity must be at least 1")

    def net(self) -> Decimal:
        """Return quantity times unit price."""
        return self.quantity * self.unit_price

    def tax(self) -> Decimal:
        """Return the exact tax of this line, not rounded."""
        return self.net() * self.tax_rate


@dataclass(frozen=True)
class Invoice:
    """What a customer owes."""

    number: str
    lines: tuple[Line, ...]

    def net(self) -> Decimal:
        """Return the sum of the lines before tax."""
        return to_cents(sum((line.net() for line in self.lines), ZERO))

    def tax(self) -> Decimal:
        """Return the tax of the whole invoice."""
        return sum((to_cents(line.tax(), ROUND_HALF_UP) for line in self.lines), ZERO)

    def gross(self) -> Decimal:
        """Return what is to be paid."""
        return self.net() + self.tax()
