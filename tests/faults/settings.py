"""The product's settings and one more app, which makes things go wrong when a test asks for it."""

from batchweb.settings import *  # noqa: F403
from batchweb.settings import INSTALLED_APPS as PRODUCT

INSTALLED_APPS = [*PRODUCT, "tests.faults.apps.Faults"]
