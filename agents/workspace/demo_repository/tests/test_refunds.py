"""What a customer gets back."""

import unittest
from decimal import Decimal

from billing import Invoice, Line, refund_all, refund_lines

INVOICE = Invoice(
    "2026-0117",
    (
        Line("Notebook", 1, Decimal("10.00"), Decimal("0.07")),
        Line("Lamp", 1, Decimal("24.99"), Decimal("0.19")),
    ),
)


class RefundTest(unittest.TestCase):
    def test_a_full_refund_is_what_was_paid(self) -> None:
        self.assertEqual(refund_all(INVOICE), INVOICE.gross())

    def test_one_line_comes_back_with_its_tax(self) -> None:
        self.assertEqual(refund_lines(INVOICE, [0]), Decimal("10.70"))

    def test_a_partial_refund_is_rounded_down(self) -> None:
        self.assertEqual(refund_lines(INVOICE, [1]), Decimal("29.73"))

    def test_partial_refunds_never_exceed_what_was_paid(self) -> None:
        parts = refund_lines(INVOICE, [0]) + refund_lines(INVOICE, [1])
        self.assertLessEqual(parts, INVOICE.gross())

    def test_a_line_is_refunded_only_once(self) -> None:
        with self.assertRaisesRegex(ValueError, "only once"):
            refund_lines(INVOICE, [0, 0])


if __name__ == "__main__":
    unittest.main()
