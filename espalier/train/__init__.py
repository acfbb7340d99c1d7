"""The one loop, and what stands beside it: objective base classes, checkpoints, schedules, ranks."""

import sys

from espalier import Verb

sys.modules[__name__].__class__ = Verb  # `from espalier import train` is the verb, whatever was imported before
