"""Settings of Khata. What differs between installations comes from the environment; see each KHATA_ name below."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

REPOSITORY = Path(__file__).resolve().parents[3]
KHATA_VAR = Path(os.environ.get("KHATA_VAR") or REPOSITORY / "var").resolve()
KHATA_TARIFFS = Path(os.environ.get("KHATA_TARIFFS") or REPOSITORY / "tariffs").resolve()


def _secret_key() -> str:
    """A random key, made once and kept beside the data: sessions must outlive a restart."""
    path = KHATA_VAR / "secret-key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secret-key.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # the first process wins, and nobody reads half a key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def _role() -> str:
    role = os.environ.get("KHATA_ROLE") or "run"
    if role not in {"owner", "app", "run"}:
        raise ImproperlyConfigured(f"KHATA_ROLE is {role!r}. It must be owner (migrates), app (web) or run (the rest).")
    return role


SECRET_KEY = os.environ.get("KHATA_SECRET_KEY") or _secret_key()
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "khata.site.urls"
WSGI_APPLICATION = "khata.site.wsgi.application"
AUTH_USER_MODEL = "discoms.Staff"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "khata.audit",
    "khata.discoms",
    "khata.jobs",
    "khata.notices",
    "khata.ledger",
    "khata.consumers",
    "khata.metering",
    "khata.tariffs",
    "khata.billing",
    "khata.payments",
]
MIDDLEWARE: list[str] = []

_url = os.environ.get("KHATA_DATABASE_URL") or ""
DATABASES = {
    "default": {
        "ENGINE": "khata.site.database",
        "NAME": os.environ.get("KHATA_DATABASE_NAME") or conninfo_to_dict(_url).get("dbname") or "khata",
        # A transaction carries the scope; a request outside one would see nothing.
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {},
        "KHATA": {
            "role": _role(),
            "url": _url,
            "var": KHATA_VAR,
            "durable": os.environ.get("KHATA_DURABLE") != "0",
        },
    }
}

USE_TZ = True
TIME_ZONE = "Asia/Kolkata"
USE_I18N = True
LANGUAGE_CODE = "hi"
LANGUAGES = [("hi", "हिन्दी"), ("en", "English")]
