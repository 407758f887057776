"""Settings, all from the environment; with none at all a private system on this machine.

`PRODUCTION=1` turns the strict half on: a missing secret or host then stops the start with a sentence.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import TZPATH, ZoneInfo

from csp.constants import NONE, SELF

from batchweb import installation
from batchweb.environment import decimal, env, switch, whole
from batchweb.forwarded import Proxies
from batchweb.public import Public, prefix_of, public_of

BASE_DIR = installation.FOLDER
DATA_DIR = Path(env.str("DATA_DIR", "") or installation.data_folder()).resolve()
PRODUCTION = switch("PRODUCTION", False)
DEBUG = switch("DEBUG", False)
# Where a proxy speaks from, unless TRUSTED_PROXIES says it better: this machine, or a network of its own
PRIVATE_NETWORKS = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]


def private_dir(path: Path) -> Path:
    """The folder, made on first use and readable by its owner only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def private_file(path: Path) -> Path:
    """The file, made on first use and readable by its owner only, whatever the umask says."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
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


def needed(name: str, when: str = "PRODUCTION=1") -> str:
    """The variable `name`, which production cannot do without. A start without it ends with a sentence."""
    value: str = env.str(name, "")
    return value or refuse(f"{name} must be set when {when}.")


def refuse(sentence: str) -> NoReturn:
    """Ends the start with a sentence."""
    raise SystemExit(f"{sentence} The README says what to put there.")


def check_strength(secret: str) -> None:
    """A start in production with a secret that somebody could guess ends with a sentence."""
    if len(secret) < 50 or len(set(secret)) < 10 or secret.lower().startswith("django-insecure-"):
        refuse("SECRET_KEY must be a random text of at least 50 characters when PRODUCTION=1.")


def log_level() -> str:
    """LOG_LEVEL by its usual name: `warn` and `WARNING` are the same. Another word ends the start with a sentence."""
    text = env.str("LOG_LEVEL", "").strip().upper() or "INFO"
    number = logging.getLevelNamesMapping().get(text)
    if number is None:
        raise SystemExit(f"LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not “{text[:40]}”.")
    return logging.getLevelName(number)


def time_zone() -> str:
    """TZ where it names a zone that this machine knows; the rules that it may hold instead end the start."""
    name = env.str("TZ", "").strip().removeprefix(":") or "UTC"
    try:
        ZoneInfo(name)
        known = not os.path.isdir(TZPATH[0]) or os.path.isfile(os.path.join(TZPATH[0], name))  # as Django has it
    except (OSError, ValueError, KeyError):
        known = False
    if not known:
        raise SystemExit(f"TZ must be the name of a time zone, as UTC or Europe/Berlin, not “{name[:40]}”.")
    return name


def socket_path() -> Path:
    """Where the embedded Valkey listens. A Unix socket's path may have about 108 bytes, and folders can be deep."""
    path = DATA_DIR / "valkey.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    digest = hashlib.sha256(os.fsencode(DATA_DIR)).hexdigest()[:16]
    return own_dir(Path(tempfile.gettempdir()) / f"batchweb-{os.getuid()}-{digest}") / "valkey.sock"


def own_dir(path: Path) -> Path:
    """A folder in a place where anybody may write: one that somebody else has made, or may write to, ends the start."""
    found = private_dir(path).lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SystemExit(f"{path} must be a folder that only this user may open. Remove it, or set REDIS_URL.")
    return path


def proxies(default: int = 0) -> Proxies:
    """The proxies in front, of which BEHIND_PROXY tells how many stand in a row."""
    text = env.str("BEHIND_PROXY", "").strip().lower()
    count = {"": default, "false": 0, "no": 0, "off": 0, "true": 1, "yes": 1, "on": 1}.get(text)
    networks = env.list("TRUSTED_PROXIES", default=[]) or PRIVATE_NETWORKS
    try:
        return Proxies(int(text) if count is None else count, networks)
    except ValueError:
        raise SystemExit(
            "BEHIND_PROXY must be a number of proxies, TRUSTED_PROXIES their addresses or networks with commas between."
        ) from None


def public() -> tuple[Public, str]:
    """Where people reach this, by PUBLIC_URL, and the path before all others, by PATH_PREFIX or the same."""
    name = "PUBLIC_URL"
    try:
        found = public_of(env.str(name, "").strip())
        name = "PATH_PREFIX"
        return found, prefix_of(env.str(name, "")) or found.prefix
    except ValueError as error:
        raise SystemExit(f"{name}: {error}") from None


# Security
if PRODUCTION and DEBUG:
    refuse("DEBUG must not be set when PRODUCTION=1: its pages of errors show what is stored.")
SECRET_KEY = env.str("SECRET_KEY", "") or (needed("SECRET_KEY") if PRODUCTION else kept_secret(DATA_DIR / "secret_key"))
if PRODUCTION:
    check_strength(SECRET_KEY)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# What stored secrets are encrypted with: the first of these keys, and read by any of them; see batchweb.secrets.
SECRETS_KEYS = [key.strip() for key in env.str("SECRETS_KEYS", "").split(",") if key.strip()]
PUBLIC, PATH_PREFIX = public()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or list(
    filter(None, [PUBLIC.host, *([] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])])
)
# The public address is one of ours also where a proxy rewrites the Host.
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[]) or list(filter(None, [PUBLIC.origin]))
if PRODUCTION and not ALLOWED_HOSTS:
    refuse("PUBLIC_URL or ALLOWED_HOSTS must be set when PRODUCTION=1.")
if PRODUCTION and "*" in ALLOWED_HOSTS:
    refuse("ALLOWED_HOSTS must name the hosts when PRODUCTION=1, not “*”.")
CONTACT = env.str("CONTACT", "").strip() or "whoever runs this batchweb"  # whom pages tell people to ask
CSRF_FAILURE_VIEW = "batchweb.views.csrf_failure"
HTTPS = switch("HTTPS", PUBLIC.https if PUBLIC.origin else PRODUCTION)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
PROXIES = proxies(int(PUBLIC.https))  # the address and the scheme of a request are what they tell, see forwarded.py
# A monitor may know no HTTPS; the answer holds nothing.
SECURE_REDIRECT_EXEMPT = [rf"^{re.escape(PATH_PREFIX.lstrip('/'))}/?readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# With __Host- browsers take them from this very host alone, by HTTPS and for all of its paths. So two batchwebs under
# paths of one host are told apart by the names.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    f"{'__Host-' if HTTPS else ''}{name}{PATH_PREFIX.replace('/', '.')}" for name in ("batchweb_session", "csrftoken")
)
SESSION_ENGINE = "jobs.models.session"
MESSAGE_STORAGE = "batchweb.message_storage.Latest"
SESSION_COOKIE_AGE = 3600  # of somebody who is about to sign in; then the next two hold
SESSION_HOURS = decimal("SESSION_HOURS", 14 * 24.0)
SESSION_IDLE_HOURS = decimal("SESSION_IDLE_HOURS", 7 * 24.0)
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
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]
MIDDLEWARE = [
    "batchweb.addressing.told_wrong_scheme",  # before the redirect to HTTPS
    "django.middleware.security.SecurityMiddleware",
    "batchweb.middleware.Static",  # before the policy of pages, which would be a third of a small script
    "csp.middleware.CSPMiddleware",
    "batchweb.middleware.Private",
    "batchweb.middleware.cut_off",
    "batchweb.middleware.Readable",
    "batchweb.middleware.DiskFull",
    "batchweb.middleware.Compressed",
    "batchweb.middleware.Bounded",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "batchweb.middleware.SignedIn",
    "batchweb.accounts.middleware.SecondFactorFirst",
    "batchweb.accounts.middleware.in_use",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "batchweb.urls"
ASGI_APPLICATION = "batchweb.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [installation.RESOURCES / "templates"],
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
AUTHENTICATION_BACKENDS = ["batchweb.auth.ModelBackend", "sesame.backends.ModelBackend"]
SESAME_ONE_TIME = True
SESAME_MAX_AGE = whole("SIGN_IN_LINK_SECONDS", 600)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "jobs:list"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "batchweb.accounts.hashing.InTurn",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "batchweb.accounts.passwords.NotGuessable"},
]
PASSWORD_SIGN_IN = switch("PASSWORD_SIGN_IN", True)
PASSWORD_RESET_TIMEOUT = 3600
REQUIRE_SECOND_FACTOR = env.str("REQUIRE_SECOND_FACTOR", "").strip()
# How long what happens around signing in is kept, and how many lines of it
SECURITY_EVENT_DAYS = whole("SECURITY_EVENT_DAYS", 365)
SECURITY_EVENTS = whole("SECURITY_EVENTS", 100_000)
# Printed mails are for trying things out: a log is no place for links that set passwords.
EMAIL_URL = env.str("EMAIL_URL", "")
CAN_SEND_MAIL = not PRODUCTION or (bool(EMAIL_URL) and not EMAIL_URL.startswith("consolemail"))
vars().update(env.email_url_config((EMAIL_URL or "consolemail://") if CAN_SEND_MAIL else "dummymail://"))
if EMAIL_URL.startswith("filemail:///"):  # environ takes the path for a relative one
    EMAIL_FILE_PATH = "/" + urlsplit(EMAIL_URL).path.lstrip("/")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "batchweb@localhost")

# Second factors and a company's own sign-in, by allauth. It counts nothing: batchweb.accounts.throttling does.
ACCOUNT_ADAPTER = "batchweb.accounts.adapters.Accounts"
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"] if PASSWORD_SIGN_IN else ["mfa"]
ACCOUNT_FORMS = {"reauthenticate": "batchweb.accounts.forms.Reauthenticate"}
MFA_ADAPTER = "batchweb.accounts.adapters.SecondFactors"
MFA_FORMS = {
    "authenticate": "batchweb.accounts.forms.Code",
    "reauthenticate": "batchweb.accounts.forms.CodeAgain",
    "activate_totp": "batchweb.accounts.forms.FirstCode",
    "login_webauthn": "batchweb.accounts.forms.SignInByPasskey",
    "reauthenticate_webauthn": "batchweb.accounts.forms.ConfirmByPasskey",
    "authenticate_webauthn": "batchweb.accounts.forms.SecondByPasskey",
    "add_webauthn": "batchweb.accounts.forms.AddPasskey",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
MFA_TOTP_ISSUER = "batchweb"
MFA_TOTP_TOLERANCE = 1
# Browsers take plain HTTP on this very machine for safe, and so does the check of where a passkey was used.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
OIDC_ISSUER = env.str("OIDC_ISSUER", "")
OIDC_NAME = env.str("OIDC_NAME", "") or "your company's account"
OIDC_CREATE = switch("OIDC_CREATE", False)
OIDC_LINK_BY_EMAIL = switch("OIDC_LINK_BY_EMAIL", False)
OIDC_DOMAINS = env.list("OIDC_DOMAINS", default=[])
OIDC_GROUPS = env.list("OIDC_GROUPS", default=[])
OIDC_STAFF_GROUPS = env.list("OIDC_STAFF_GROUPS", default=[])
SOCIALACCOUNT_ADAPTER = "batchweb.accounts.oidc.Adapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form that leads to another site would need an exception in the policy of pages
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [] if not OIDC_ISSUER else [{
    "provider_id": "company",
    "name": OIDC_NAME,
    "client_id": needed("OIDC_CLIENT_ID", "OIDC_ISSUER is"),
    "secret": needed("OIDC_CLIENT_SECRET", "OIDC_ISSUER is"),
    "settings": {"server_url": OIDC_ISSUER.rstrip("/")},
}]}}  # fmt: skip


def database() -> dict[str, Any]:
    """DATABASE_URL, or SQLite in the data folder, with the options that several processes need."""
    private_dir(DATA_DIR)
    config: dict[str, Any] = env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")
    if config["ENGINE"].endswith("sqlite3"):
        if str(config["NAME"]) != ":memory:":
            private_file(Path(config["NAME"]))  # what SQLite puts beside it has the same mode
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
DATABASE_POOL = {"min_size": 0, "max_size": whole("DATABASE_POOL", 20), "timeout": 3.0, "reconnect_timeout": 2.0}
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
CELERY_WORKER_POOL = "batchweb.celery_pool:Pool"
CELERY_WORKER_CONSUMER = "batchweb.messages:Consumer"
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
WORKER_PROCESSES = whole("WORKER_PROCESSES", 4)
# Web servers: how many on one socket, and of each of them the connections, and the memory at which it is replaced
WEB_PROCESSES = whole("WEB_PROCESSES", 1)
WEB_CONNECTIONS = whole("WEB_CONNECTIONS", 2000)
WEB_MEMORY_MB = whole("WEB_MEMORY_MB", 1536, empty=0)
LOADER_PROCESSES = whole("LOADER_PROCESSES", 2)

# Files
STATIC_URL = f"{PATH_PREFIX}/static/"
# Without production the files are served from where they lie, and nothing is collected.
STATIC_ROOT = env.str("STATIC_ROOT", str(DATA_DIR / "static") if PRODUCTION else "") or None
WHITENOISE_USE_FINDERS, WHITENOISE_ALLOW_ALL_ORIGINS = not PRODUCTION, False
MEDIA_ROOT = DATA_DIR / "uploads"
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o600, 0o700
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "batchweb.static_files.HashedStatic"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
        # Nothing private: in an image one user collects them and another one serves them.
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
FILE_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # of a body that is kept in memory; many may arrive at a time
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
JOBS_INSPECTION_MEMORY_MB = whole("JOBS_INSPECTION_MEMORY_MB", 300)
# What a person may have here at a time; 0 or empty is no limit
JOBS_MAX_STORED_MB = whole("JOBS_MAX_STORED_MB", 10_000, empty=0)
JOBS_MAX_RUNNING_JOBS = whole("JOBS_MAX_RUNNING_JOBS", 50, empty=0)
JOBS_MAX_JOBS_A_MINUTE = whole("JOBS_MAX_JOBS_A_MINUTE", 120, empty=0)
JOBS_UPLOADS_AT_A_TIME = whole("JOBS_UPLOADS_AT_A_TIME", 10, empty=0)
JOBS_DISK_RESERVE_MB = whole("JOBS_DISK_RESERVE_MB", 500, empty=0)
# The form of a new job names every column of its file.
DATA_UPLOAD_MAX_NUMBER_FIELDS = JOBS_MAX_COLUMNS + 500

# The product's own settings; the README has one table of them
ADDRESS_FILE = DATA_DIR / "address"
JOBS_MAX_WORKERS = whole("JOBS_MAX_WORKERS", 200)
JOBS_PROCESSORS = env.list("JOBS_PROCESSORS", default=[])
JOBS_SOCKETS_PER_PERSON = whole("JOBS_SOCKETS_PER_PERSON", 20 if PRODUCTION else 1000)
# What one person may have under way in each web process at a time; 0 is no limit
JOBS_REQUESTS_PER_PERSON = whole("JOBS_REQUESTS_PER_PERSON", 4)
JOBS_SEARCHES_PER_PERSON = whole("JOBS_SEARCHES_PER_PERSON", 2)
JOBS_DOWNLOADS_PER_PERSON = whole("JOBS_DOWNLOADS_PER_PERSON", 3)
# How long a page, and what a person has done, may keep the database busy or wait for it
JOBS_PAGE_SECONDS = decimal("JOBS_PAGE_SECONDS", 15.0)
JOBS_ORDER_SECONDS = decimal("JOBS_ORDER_SECONDS", 60.0)
JOBS_SHARD_SIZE = whole("JOBS_SHARD_SIZE", 2000)
JOBS_LEASE_SECONDS = decimal("JOBS_LEASE_SECONDS", 30.0)
JOBS_MEMORY_MB = whole("JOBS_MEMORY_MB", 4096)
JOBS_READ_SECONDS = decimal("JOBS_READ_SECONDS", 120.0)
JOBS_LOST_THREADS = whole("JOBS_LOST_THREADS", 16)
# How long ended jobs are kept, as 30d; empty is for ever
RETENTION = env.str("RETENTION", "")
RETENTION_KEEP_RESULTS = switch("RETENTION_KEEP_RESULTS", False)
JOBS_TURN_SECONDS = decimal("JOBS_TURN_SECONDS", 10.0)
# Hanging and crashing on demand is for trying the product out, never for a system that others rely on.
os.environ.setdefault("SIMULATE_ALLOW_FAULTS", "0" if PRODUCTION else "1")

# Language, time, logs
LANGUAGE_CODE = "en"
TIME_ZONE = time_zone()
USE_I18N = False
USE_TZ = True
LOG_LEVEL = log_level()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "batchweb.redact.Formatter", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "filters": {"refused": {"()": "batchweb.redact.RefusedWithoutTrace"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["refused"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # It logs a traceback for each request to a host name that is none of ours; batchweb.addressing says it once.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # httpx logs each request with its whole URL, and URLs may hold secrets.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        # It logs a traceback each second while its server is away; the hub's subscriber and events say so.
        "channels_redis.pubsub": {"level": "CRITICAL"},
        # Celery logs each task twice, and tasks are mere wake-ups.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
