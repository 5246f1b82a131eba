"""What a web server has ready before it takes its first request."""

from __future__ import annotations

from django.conf import settings
from django.template import engines

from countersign import asgi


def test_every_template_of_ours_is_read_before_the_first_page():
    (loader,) = engines["django"].engine.template_loaders
    loader.reset()
    asgi.read_ahead()
    folder = settings.RESOURCE_DIR / "templates"
    ours = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    assert "inbox/_row.html" in ours
    assert ours <= {
        name for name, found in loader.get_template_cache.items() if hasattr(found, "nodelist")
    }
