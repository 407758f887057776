from django.contrib.admin.apps import AdminConfig


class Administration(AdminConfig):
    default_site = "batchweb.admin_site.Site"
