from django.contrib import admin
from django.urls import include, path

from batchweb import views

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("enter/", views.enter, name="enter"),
    path("accounts/password_change/", views.ChangePassword.as_view(), name="password_change"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path("", include("jobs.urls")),
]
