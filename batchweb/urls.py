from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from batchweb import views
from batchweb.accounts.views import enter

handler400 = "batchweb.views.bad_request"
handler500 = "batchweb.views.server_error"
pages: list[URLPattern | URLResolver] = [
    path("readyz", views.readyz, name="readyz"),
    path("enter/", enter, name="enter"),
    path("accounts/", include("batchweb.accounts.urls")),
    path("admin/", admin.site.urls),
    path("", include("jobs.urls")),
]
# Here, so that addresses are right in threads, workers, commands and sockets too, which know of no request.
urlpatterns = [path(f"{settings.PATH_PREFIX}/"[1:], include(pages))]
