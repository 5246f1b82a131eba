"""The one settings module: safe defaults for a laptop, everything else from the environment."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF
from kombu import Queue

from countersign import assets
from countersign.connections import (
    database_settings,
    email_settings,
    kafka_options,
    local_secret,
    running_services,
    trusted_lines,
)
from countersign.env import LOOPBACK, env_bool, env_int, env_list, env_text
from countersign.lean import import_redis

import_redis()  # before anything else does

PACKAGE_DIR = Path(__file__).resolve().parent
# In a wheel, templates and static lie inside the package; in a checkout, at the root.
RESOURCE_DIR = PACKAGE_DIR if (PACKAGE_DIR / "templates").is_dir() else PACKAGE_DIR.parents[1]

DATA_DIR = Path(env_text("COUNTERSIGN_DATA_DIR", ".countersign")).absolute()
# Where a running `manage.py up` is reached by commands whose environment does not say.
_RUNNING = running_services(DATA_DIR)
PORT = env_int("COUNTERSIGN_PORT", int(_RUNNING.get("COUNTERSIGN_PORT", "8000")))

# Where people reach the console, for links in messages that leave the house.
PUBLIC_URL = env_text("COUNTERSIGN_PUBLIC_URL", f"http://localhost:{PORT}").rstrip("/")

DEBUG = env_bool("COUNTERSIGN_DEBUG", default=False)
# Where the end of the audit log is kept; best on another machine.
AUDIT_ANCHORS = Path(
    env_text("COUNTERSIGN_AUDIT_ANCHORS") or DATA_DIR / "audit-anchors.jsonl"
).absolute()

SECRET_KEY = env_text("SECRET_KEY") or local_secret(DATA_DIR / "secret-key")
# Only a web process is given the key; whoever carries out knows the public halves.
SIGNING_KEY = env_text("COUNTERSIGN_SIGNING_KEY")
SIGNING_PUBLIC_KEYS = env_list("COUNTERSIGN_SIGNING_PUBLIC_KEYS") or trusted_lines(
    DATA_DIR / "signing-keys.pub"
)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", LOOPBACK)
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

DATABASE_URL = env_text("DATABASE_URL") or _RUNNING.get("DATABASE_URL", "")
_REDIS_URL = env_text("REDIS_URL")
REDIS_URL = _REDIS_URL or _RUNNING.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = env_text("CELERY_BROKER_URL") or (
    REDIS_URL if _REDIS_URL else _RUNNING.get("CELERY_BROKER_URL", REDIS_URL)
)

# Where the event log is also sent; empty: nowhere. librdkafka's options.
KAFKA_OPTIONS = kafka_options(env_text("KAFKA_URL"))

# The mail server that notifications leave by; empty: no e-mail is sent.
_EMAIL = email_settings(env_text("COUNTERSIGN_EMAIL_URL"))
EMAIL_HOST, EMAIL_PORT = _EMAIL.host, _EMAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _EMAIL.user, _EMAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _EMAIL.starttls, _EMAIL.tls
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = _EMAIL.sender
# Where webhooks may lead, and then also inside the own network; empty: anywhere in the public one.
WEBHOOK_HOSTS = env_list("COUNTERSIGN_WEBHOOK_HOSTS")

# Which model does the thinking: "rehearsal", "openai:NAME", "anthropic:NAME" or "ollama:NAME".
COUNTERSIGN_MODEL = env_text("COUNTERSIGN_MODEL", "rehearsal")
COUNTERSIGN_EMBEDDER = env_text("COUNTERSIGN_EMBEDDER", "wordllama")
OPENAI_BASE_URL = env_text("OPENAI_BASE_URL")
OPENAI_API_KEY = env_text("OPENAI_API_KEY")
ANTHROPIC_BASE_URL = env_text("ANTHROPIC_BASE_URL")
ANTHROPIC_API_KEY = env_text("ANTHROPIC_API_KEY")
OLLAMA_BASE_URL = env_text("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1")

# The agent runtime: seconds, and steps in flight per worker process.
LEASE_SECONDS = env_int("COUNTERSIGN_LEASE_SECONDS", 30)
HEARTBEAT_SECONDS = env_int("COUNTERSIGN_HEARTBEAT_SECONDS", 10)
DRAIN_SECONDS = env_int("COUNTERSIGN_DRAIN_SECONDS", 5)
CANARY_SECONDS = env_int("COUNTERSIGN_CANARY_SECONDS", 10)
STEPS_IN_FLIGHT = env_int("COUNTERSIGN_STEPS_IN_FLIGHT", 1_000)
# Milliseconds between the words of a rehearsal, so that people see it live; 0 in tests.
REHEARSAL_PACE_MS = env_int("COUNTERSIGN_REHEARSAL_PACE_MS", 20)

# Where spans go; empty: nowhere. The SDK reads its other settings (OTEL_SERVICE_NAME, …) itself.
_OTEL_BASE = env_text("OTEL_EXPORTER_OTLP_ENDPOINT").rstrip("/")
OTEL_ENDPOINT = env_text(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{_OTEL_BASE}/v1/traces" if _OTEL_BASE else ""
)
if env_bool("OTEL_SDK_DISABLED", default=False):
    OTEL_ENDPOINT = ""
OTEL_HEADERS = env_text("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or env_text(
    "OTEL_EXPORTER_OTLP_HEADERS"
)

# Folders outside /usr that checks may read, e.g. a virtual environment with a project's packages.
SANDBOX_PATHS = env_list("COUNTERSIGN_SANDBOX_PATHS")

INSTALLED_APPS = [
    "countersign.administration.apps.MarkedAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "projects",
    "memory",
    "agents",
    "approvals",
    "notices",
    "countersign",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "countersign.compression.CompressPages",
    "countersign.statics.StaticFiles",
    "countersign.headers.private_answers",
    "csp.middleware.CSPMiddleware",
    "countersign.texts.readable_requests",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "countersign.live.control.rights_may_change",
]

ROOT_URLCONF = "countersign.urls"
ASGI_APPLICATION = "countersign.asgi.application"
WSGI_APPLICATION = "countersign.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [RESOURCE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Of a web process. A new connection has to learn its tables anew: a quarter of the time of a page.
KEPT_CONNECTIONS = env_int("COUNTERSIGN_KEPT_CONNECTIONS", 0)
DATABASES = {"default": database_settings(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "projects.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "console:sign_in"
LOGIN_REDIRECT_URL = "console:home"
LOGOUT_REDIRECT_URL = "console:sign_in"

SESSION_ENGINE = "countersign.sessions"
SESSION_COOKIE_AGE = 8 * 60 * 60  # seconds: one working day
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_COOKIES = env_bool("COUNTERSIGN_SECURE_COOKIES", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/api/v1/docs",),
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "manifest-src": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    },
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [RESOURCE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
if DEBUG:  # files are edited while it runs
    STATIC_URL = "static/"
else:
    STATIC_URL = f"static/{assets.digest_of(RESOURCE_DIR / 'static')}/"
    WHITENOISE_ADD_HEADERS_FUNCTION = assets.keep_for_ever

# For consumers that need groups. Feeds hear by the one subscription of live.mux, hints included.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    },
}

# Celery carries doorbells only; the rows are the work (see agents/dispatch.py).
_RABBITMQ = CELERY_BROKER_URL.startswith(("amqp", "pyamqp"))
# Redis takes no notice of them. Bells may be lost; but classic queues are no longer mirrored.
QUEUE_ARGUMENTS = {"x-queue-type": "quorum"} if _RABBITMQ else {}
# Not acknowledged (see countersign/consumer.py): that was half of what a bell cost a worker. One that
# is lost with its worker, or waits in one that hangs, is made good by a poll.
CELERY_TASK_QUEUES = [
    Queue(name, routing_key=name, no_ack=True, queue_arguments=dict(QUEUE_ARGUMENTS))
    for name in ("steps", "effects")
]
CELERY_TASK_DEFAULT_QUEUE = "steps"
CELERY_TASK_DEFAULT_EXCHANGE = "countersign"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_CONSUMER = "countersign.consumer:DoorbellConsumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"confirm_publish": True}
    if _RABBITMQ
    else {
        "visibility_timeout": 3600,
        "socket_timeout": 30,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "countersign.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["countersign.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "countersign.api.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "AI agents do the work; a tech lead countersigns it.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "RemindEnum": "approvals.models.Remind",
        "RiskEnum": "approvals.models.Risk",
        "AtExpiryEnum": "approvals.models.AtExpiry",
        "TaskState": "agents.lifecycle.TaskState",
        "ApprovalState": "approvals.lifecycle.ApprovalState",
        "MemoryState": "memory.lifecycle.MemoryState",
        "EscalationState": "agents.lifecycle.EscalationState",
        "CallState": "approvals.lifecycle.CallState",
        "CallVerdict": "approvals.lifecycle.CallVerdict",
        "SignatureVerdict": "approvals.lifecycle.SignatureVerdict",
        "NoticeKind": "notices.models.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # bytes; the API has its own limits
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # a review has several for each of its hunks

_LOG_LEVEL = env_text("COUNTERSIGN_LOG_LEVEL", "INFO")
# Celery tells of each bell and canary three times at INFO.
_BELLS_LEVEL = "WARNING" if _LOG_LEVEL == "INFO" else _LOG_LEVEL
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _LOG_LEVEL},
    "loggers": {
        "celery.app.trace": {"level": _BELLS_LEVEL},
        "celery.worker.strategy": {"level": _BELLS_LEVEL},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},
        # A collector that is away is told of once a minute, by agents.telemetry.
        "opentelemetry": {"level": "CRITICAL"},
    },
}
