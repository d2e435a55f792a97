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
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *filter(None, os.environ.get("KHATA_HOSTS", "").split(","))]
ROOT_URLCONF = "khata.site.urls"
WSGI_APPLICATION = "khata.site.wsgi.application"
AUTH_USER_MODEL = "discoms.Staff"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_cotton.apps.SimpleAppConfig",  # the loaders are named in TEMPLATES
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
    "khata.migration",
    "khata.portal",
    "khata.staff",
]
MIDDLEWARE = [
    "khata.site.guard.FrontMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "khata.site.guard.GuardMiddleware",
]

PAGES = REPOSITORY / "src" / "khata" / "display"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PAGES / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django_cotton.cotton_loader.Loader",
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "django_cotton.templatetags.cotton",
                "khata.site.page_tags",
            ],
            "context_processors": ["django.template.context_processors.request", "khata.site.guard.page_context"],
        },
    }
]

_url = os.environ.get("KHATA_DATABASE_URL") or ""
DATABASES = {
    "default": {
        "ENGINE": "khata.site.database",
        "NAME": os.environ.get("KHATA_DATABASE_NAME") or conninfo_to_dict(_url).get("dbname") or "khata",
        # A transaction carries the scope; a request outside one would see nothing.
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
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
LANGUAGE_COOKIE_NAME = "khata_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [KHATA_VAR / "build" / "locale"]  # made by site/build.py, as are the fonts and icons

STATIC_URL = "/static/"
STATIC_ROOT = KHATA_VAR / "static"
SILENCED_SYSTEM_CHECKS = ["staticfiles.W004"]  # what is built is not there before it is built
# What is put into var/own is served too: a company's emblem, named in its row of companies.
STATICFILES_DIRS = [PAGES / "static", KHATA_VAR / "build" / "static", KHATA_VAR / "own"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "khata.site.sheets.Sheets"},
}
WHITENOISE_MAX_AGE = 365 * 24 * 3600

# -- safety. Plain http is for one's own machine alone: KHATA_HTTPS=0.
HTTPS = os.environ.get("KHATA_HTTPS") != "0"
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if os.environ.get("KHATA_PROXIES") else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "__Host-khata" if HTTPS else "khata"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 30 * 24 * 3600
CSRF_FAILURE_VIEW = "khata.site.pages.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # our longest form is a kilobyte
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50
FILE_UPLOAD_HANDLERS: list[str] = []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "font-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "worker-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
# How many proxies of ours stand in front: the caller's address is that many places from the end of X-Forwarded-For.
PROXIES = int(os.environ.get("KHATA_PROXIES") or 0)

# Where deliveries of meter data that came by HTTP wait for the worker: for both the same folder.
KHATA_SPOOL = Path(os.environ.get("KHATA_SPOOL") or KHATA_VAR / "spool")
KHATA_MOST_UPLOAD_BYTES = int(os.environ.get("KHATA_MOST_UPLOAD_BYTES") or 1 << 30)

# Where these pages stand, for the codes printed on receipts.
KHATA_SITE_URL = (os.environ.get("KHATA_SITE_URL") or "http://127.0.0.1:8000").rstrip("/")
# Whose name and colour the pages before sign-in carry: the code of a company of the installation.
KHATA_COMPANY = os.environ.get("KHATA_COMPANY") or ""
PAGES_UPDATED = "2026-11-22"  # the day on which words or layout of the pages last changed; it stands in the footer
# Only the demo sets it: the file in which its messages are laid down, and which its outbox page shows.
KHATA_DEMO_OUTBOX = os.environ.get("KHATA_DEMO_OUTBOX") or ""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"masked": {"()": "khata.site.logs.Masked"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "masked"}},
    # Numbers of people are masked; requests are told by the server, errors without their local variables.
    "loggers": {"django": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}
