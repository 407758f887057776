from django.urls import path

from jobs import consumers

websocket_urlpatterns = [
    path("ws/jobs/", consumers.ListConsumer.as_asgi()),
    path("ws/jobs/<str:code>/", consumers.JobConsumer.as_asgi()),
]
