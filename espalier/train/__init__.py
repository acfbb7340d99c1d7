"""The one loop, and what stands beside it: objective base classes, checkpoints, schedules, ranks."""
