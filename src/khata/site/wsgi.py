"""The web: it lives under row-level security, so its role is app unless the operator says otherwise."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
os.environ.setdefault("KHATA_ROLE", "app")

application = get_wsgi_application()
