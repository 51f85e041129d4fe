"""Ears: a screen, plain words, JSON lines, a Python face. They do not know each other."""
