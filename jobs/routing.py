from django.conf import settings
from django.urls import path, re_path

from jobs.live import consumers

SOCKETS = f"{settings.PATH_PREFIX}/ws/jobs/"[1:]
websocket_urlpatterns = [
    path(SOCKETS, consumers.ListConsumer.as_asgi()),
    path(f"{SOCKETS}<str:code>/", consumers.JobConsumer.as_asgi()),
    re_path("", consumers.NoSuchSocket.as_asgi()),
]
