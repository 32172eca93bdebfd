"""Settings: no database; cache and sessions are in the shared state."""

SECRET_KEY = "an example, not a secret"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "guestbook.urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions", "guestbook"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CACHES = {"default": {"BACKEND": "guestbook.cache.StateCache", "LOCATION": "guestbook:cache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
