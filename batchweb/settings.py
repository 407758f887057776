"""Settings, all from the environment; with none at all a private system on this machine.

`PRODUCTION=1` turns the strict half on: a missing secret or host then stops the start with a sentence.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

env = environ.FileAwareEnv()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / "var"))).resolve()
PRODUCTION = env.bool("PRODUCTION", False)
DEBUG = env.bool("DEBUG", False)


def private_dir(path: Path) -> Path:
    """The folder, made on first use and readable by its owner only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def kept_secret(path: Path) -> str:
    """A random secret that outlives a restart: made once, then read from `path`."""
    if not path.exists():
        # Several processes may start at once: whoever links first has made it, and nobody sees half of one.
        with tempfile.NamedTemporaryFile("w", dir=private_dir(path.parent)) as file, suppress(FileExistsError):
            file.write(secrets.token_urlsafe(50))
            file.flush()
            os.link(file.name, path)
    return path.read_text()


def needed(name: str) -> str:
    """The variable `name`, which production cannot do without. A start without it ends with a sentence."""
    value: str = env.str(name, "")
    if not value:
        raise SystemExit(f"{name} must be set when PRODUCTION=1. The README says what to put there.")
    return value


def whole(name: str, default: int, empty: int | None = None) -> int:
    """The variable `name` as a whole number; `default` where it is not set, and where it is empty unless told else."""
    text: str = env.str(name, str(default)).strip().replace("_", "")
    if not text:
        return default if empty is None else empty
    try:
        return int(text)
    except ValueError:
        raise SystemExit(f"{name} must be a whole number, not “{text[:40]}”.") from None


def socket_path() -> Path:
    """Where the embedded Valkey listens. A Unix socket's path may have about 108 bytes, and folders can be deep."""
    path = DATA_DIR / "valkey.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    digest = hashlib.sha256(os.fsencode(DATA_DIR)).hexdigest()[:16]
    return private_dir(Path(tempfile.gettempdir()) / f"batchweb-{os.getuid()}-{digest}") / "valkey.sock"


# Security
SECRET_KEY = needed("SECRET_KEY") if PRODUCTION else env.str("SECRET_KEY", "") or kept_secret(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if PRODUCTION and not ALLOWED_HOSTS:
    needed("ALLOWED_HOSTS")
HTTPS = env.bool("HTTPS", PRODUCTION)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", False) else None
# The probe of a container knows no host name and no HTTPS; the answer holds nothing.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "batchweb_session"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF], "script-src": [SELF], "style-src": [SELF], "img-src": [SELF], "font-src": [SELF],
        "connect-src": [SELF], "object-src": [NONE], "base-uri": [NONE], "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}  # fmt: skip

# Applications
INSTALLED_APPS = [
    "jobs",
    "batchweb.apps.Administration",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "template_partials",
    "sesame",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "batchweb.middleware.Static",  # before the policy of pages, which would be a third of a small script
    "csp.middleware.CSPMiddleware",
    "batchweb.middleware.cut_off",
    "batchweb.middleware.DiskFull",
    "batchweb.middleware.Compressed",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "batchweb.middleware.SignedIn",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "batchweb.urls"
ASGI_APPLICATION = "batchweb.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# People
AUTHENTICATION_BACKENDS = ["batchweb.people.ModelBackend", "sesame.backends.ModelBackend"]
SESAME_ONE_TIME = True
SESAME_MAX_AGE = env.int("SIGN_IN_LINK_SECONDS", 600)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "jobs:list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "batchweb@localhost")


def database() -> dict[str, Any]:
    """DATABASE_URL, or SQLite in the data folder, with the options that several processes need."""
    private_dir(DATA_DIR)
    config: dict[str, Any] = env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")
    if config["ENGINE"].endswith("sqlite3"):
        # A transaction that reads first and then writes fails at once unless it takes the write lock when it begins.
        config["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        config["CONN_HEALTH_CHECKS"] = True
        # A worker that stands still in the middle of a transaction holds its locks, and who wants them, for as long.
        options = config.setdefault("OPTIONS", {})
        options.setdefault("options", "-c idle_in_transaction_session_timeout=10s")
    return config


DATABASES = {"default": database()}
# Of a web server, see asgi.py. While the database is away a page is told so after `timeout` seconds.
DATABASE_POOL = {"min_size": 0, "max_size": env.int("DATABASE_POOL", 20), "timeout": 3.0, "reconnect_timeout": 2.0}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Broker and wake-ups: REDIS_URL, or the Valkey that `manage.py up` embeds
REDIS_URL = env.str("REDIS_URL", "")
EMBEDDED_VALKEY = not REDIS_URL
VALKEY_SOCKET = socket_path()
if EMBEDDED_VALKEY:
    REDIS_URL = f"unix://{VALKEY_SOCKET}"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "") or REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_ROUTES = {"jobs.load_file": {"queue": "load"}}
CELERY_WORKER_POOL = "batchweb.pool:Pool"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 6
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 6 * 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.5}
WORKER_PROCESSES = env.int("WORKER_PROCESSES", 4)
WEB_PROCESSES = env.int("WEB_PROCESSES", 1)  # of `manage.py up`, on one socket

# Files
STATIC_URL = "static/"
# Without production the files are served from where they lie, and nothing is collected.
STATIC_ROOT = env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles") if PRODUCTION else "") or None
WHITENOISE_USE_FINDERS, WHITENOISE_ALLOW_ALL_ORIGINS = not PRODUCTION, False
MEDIA_ROOT = DATA_DIR / "uploads"
FILE_UPLOAD_PERMISSIONS = 0o600
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "jobs.storage.HashedStatic"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# What a file may hold; the same as jobs.files.LIMITS unless set
JOBS_MAX_UPLOAD_BYTES = whole("JOBS_MAX_UPLOAD_MB", 512) * 1024 * 1024
JOBS_MAX_UPLOAD_SECONDS = whole("JOBS_MAX_UPLOAD_SECONDS", 3600)
JOBS_MAX_ROWS = whole("JOBS_MAX_ROWS", 5_000_000)
JOBS_MAX_COLUMNS = whole("JOBS_MAX_COLUMNS", 2_000)
JOBS_MAX_CELL_CHARS = whole("JOBS_MAX_CELL_CHARS", 1_000_000)
JOBS_MAX_ROW_MB = whole("JOBS_MAX_ROW_MB", 10)
JOBS_MAX_JSON_DEPTH = whole("JOBS_MAX_JSON_DEPTH", 200)
JOBS_MAX_UNPACKED_MB = whole("JOBS_MAX_UNPACKED_MB", 4_000)
JOBS_MAX_RATIO = whole("JOBS_MAX_RATIO", 200)
JOBS_MAX_SHEETS = whole("JOBS_MAX_SHEETS", 200)
# What a person may have here at a time; 0 or empty is no limit
JOBS_MAX_STORED_MB = whole("JOBS_MAX_STORED_MB", 10_000, empty=0)
JOBS_MAX_RUNNING_JOBS = whole("JOBS_MAX_RUNNING_JOBS", 50, empty=0)
# The form of a new job names every column of its file.
DATA_UPLOAD_MAX_NUMBER_FIELDS = JOBS_MAX_COLUMNS + 500

# The product's own settings; the README has one table of them
ADDRESS_FILE = DATA_DIR / "address"
JOBS_MAX_WORKERS = env.int("JOBS_MAX_WORKERS", 200)
JOBS_PROCESSORS = env.list("JOBS_PROCESSORS", default=[])
JOBS_SOCKETS_PER_PERSON = env.int("JOBS_SOCKETS_PER_PERSON", 20 if PRODUCTION else 1000)
JOBS_SHARD_SIZE = env.int("JOBS_SHARD_SIZE", 2000)
JOBS_LEASE_SECONDS = env.float("JOBS_LEASE_SECONDS", 30.0)
JOBS_MEMORY_MB = env.int("JOBS_MEMORY_MB", 4096)
JOBS_LOST_THREADS = env.int("JOBS_LOST_THREADS", 16)
# How long ended jobs are kept, as 30d; empty is for ever
RETENTION = env.str("RETENTION", "")
RETENTION_KEEP_RESULTS = env.bool("RETENTION_KEEP_RESULTS", False)
JOBS_TURN_SECONDS = env.float("JOBS_TURN_SECONDS", 10.0)
# Hanging and crashing on demand is for trying the product out, never for a system that others rely on.
os.environ.setdefault("SIMULATE_ALLOW_FAULTS", "0" if PRODUCTION else "1")

# Language, time, logs
LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TZ", "UTC") or "UTC"
USE_I18N = False
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "batchweb.redact.Formatter", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        # httpx logs each request with its whole URL, and URLs may hold secrets.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        # It logs a traceback each second while its server is away; jobs.wakeups and jobs.events say so themselves.
        "channels_redis.pubsub": {"level": "CRITICAL"},
        # Celery logs each task twice, and tasks are mere wake-ups.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
