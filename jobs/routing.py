from django.urls import path, re_path

from jobs import consumers

websocket_urlpatterns = [
    path("ws/jobs/", consumers.ListConsumer.as_asgi()),
    path("ws/jobs/<str:code>/", consumers.JobConsumer.as_asgi()),
    re_path("", consumers.NoSuchSocket.as_asgi()),
]
