"""The web: it lives under row-level security, so its role is app unless the operator says otherwise."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
os.environ.setdefault("KHATA_ROLE", "app")

application = get_wsgi_application()

# All modules of the pages are read now, not while the first reader waits. What has been read stays until the end: the
# collector of garbage need not look through it again, which would hold up everybody for a tenth of a second.
from khata.site import urls  # noqa: E402, F401

gc.collect()
gc.freeze()
