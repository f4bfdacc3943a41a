"""Django's database backend on pymy: ``"ENGINE": "pymy.django"``. See docs/django.md."""
