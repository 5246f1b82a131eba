"""Django's admin, with our site in place of its own."""

from django.contrib.admin.apps import AdminConfig


class MarkedAdmin(AdminConfig):
    """Serves every page of the admin through `MarkedSite`."""

    default_site = "countersign.administration.site.MarkedSite"
