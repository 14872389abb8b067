"""The toy course, as a fixture for every test in this folder."""

from toy_course import toy

__all__ = ["toy"]
