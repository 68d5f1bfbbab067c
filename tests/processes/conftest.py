"""As for unit tests, but that processes may be started."""

from tests.support.property_tests import load_profile

load_profile()
