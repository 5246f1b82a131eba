"""What the made-up proposals of the console's tests say."""

from __future__ import annotations

from typing import Any

BASE, HEAD, TREE = "9f3c1e7" + "a" * 33, "b02d11a" + "b" * 33, "c" * 40
INVOICE = """\
 class Invoice:
     def tax(self) -> Decimal:
-        return sum(quantize(line.tax) for line in self.lines)
+        return sum(line.tax for line in self.lines)
\x20
     def total(self) -> Decimal:
-        net = sum(line.net for line in self.lines)
-        return net + self.tax()
+        net = sum((line.net for line in self.lines), ZERO)
+        return quantize(net + self.tax(), HALF_EVEN)
\x20
+    def tax_rounded(self) -> Decimal:
+        \"\"\"Tax as shown to the customer.\"\"\"
+        return quantize(self.tax(), HALF_EVEN)
+
     @property
     def is_paid(self) -> bool:
"""
DOCS = """\
 # Rounding
\x20
-Tax is rounded half up on every line.
+Tax is rounded half\u200b even, once, on the invoice total.
\x20
 Refunds round the same way.
"""
TESTS = """\
     def test_half_even(self):
-        self.assertEqual(self.invoice.total(), Decimal("10.03"))
+        self.assertEqual(self.invoice.total(), Decimal("10.02"))
"""
CHECKS: dict[str, Any] = {
    "command": "python -m unittest discover -s tests -v",
    "sandbox": "bubblewrap",
    "exit_code": 0,
    "passed": 14,
    "failed": 0,
    "output_tail": "test_half_even ... ok\n\nRan 14 tests in 0.021s\n\nOK",
    "seconds": "1.84",
    "ran": True,
    "why_not": "",
}
WARNING = {
    "kind": "hidden_character",
    "path": "docs/rounding.md",
    "line": 3,
    "text": "U+200B ZERO WIDTH SPACE, column 20",
}
HOSTILE = (
    '<script>alert("x")</script><img src=x onerror=alert(1)> ![p](https://evil.example/p.png) '
    "[click](javascript:alert(1)) {{ settings.SECRET_KEY }} \u202egnp.exe"
)
