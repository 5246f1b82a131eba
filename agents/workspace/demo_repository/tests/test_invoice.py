"""Net, tax and gross of an invoice."""

import unittest
from decimal import Decimal

from billing import Invoice, Line
from billing.money import show

SEVEN_PERCENT = Decimal("0.07")
NINETEEN_PERCENT = Decimal("0.19")


def pencil(quantity: int = 1) -> Line:
    return Line("Pencil", quantity, Decimal("1.50"), SEVEN_PERCENT)


class InvoiceTest(unittest.TestCase):
    def test_an_empty_invoice_is_zero(self) -> None:
        self.assertEqual(Invoice("1", ()).gross(), Decimal("0.00"))

    def test_net_is_the_sum_of_the_lines(self) -> None:
        invoice = Invoice("2", (pencil(2), pencil(3)))
        self.assertEqual(invoice.net(), Decimal("7.50"))

    def test_tax_of_one_line(self) -> None:
        invoice = Invoice("3", (Line("Lamp", 1, Decimal("100.00"), NINETEEN_PERCENT),))
        self.assertEqual(invoice.tax(), Decimal("19.00"))

    def test_each_line_has_its_own_rate(self) -> None:
        lines = (
            Line("Book", 1, Decimal("10.00"), SEVEN_PERCENT),
            Line("Lamp", 1, Decimal("10.00"), NINETEEN_PERCENT),
        )
        self.assertEqual(Invoice("4", lines).tax(), Decimal("2.60"))

    def test_tax_is_rounded_once_on_the_total(self) -> None:
        invoice = Invoice("5", (pencil(), pencil(), pencil()))
        self.assertEqual(invoice.tax(), Decimal("0.32"))

    def test_gross_is_net_and_tax(self) -> None:
        invoice = Invoice("6", (Line("Lamp", 2, Decimal("50.00"), NINETEEN_PERCENT),))
        self.assertEqual(invoice.gross(), Decimal("119.00"))

    def test_a_quantity_below_one_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "at least 1"):
            pencil(0)


class ShowTest(unittest.TestCase):
    def test_amounts_are_grouped_and_name_the_currency(self) -> None:
        self.assertEqual(show(Decimal("1234.5")), "1,234.50 EUR")


if __name__ == "__main__":
    unittest.main()
