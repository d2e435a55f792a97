from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "khata.jobs"
