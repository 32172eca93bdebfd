"""The paths of the Django project."""

from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("where", views.where),
    path("where/<path:rest>", lambda request, rest: views.where(request)),
    path("number/<int:number>", views.number, name="number"),
    path("session", views.session),
    path("form", views.form, name="form"),
    path("upload/raw", views.raw),
    path("stream", views.stream),
    path("endless", views.endless),
    path("closed", views.show_closed),
    path("file", views.file),
    path("async", views.asynchronous),
    path("big", views.big),
    path("fail", views.fail),
    path("missing", views.missing),
]
