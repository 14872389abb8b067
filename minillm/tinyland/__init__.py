"""Tinyland: the toy world the models read, answer in, and are judged by."""
