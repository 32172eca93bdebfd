"""A Django project with the admin site; test_django.py drives it by WSGI and by ASGI."""
