"""The console as a WSGI application, for deployments that split it from the edge."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
application = get_wsgi_application()
