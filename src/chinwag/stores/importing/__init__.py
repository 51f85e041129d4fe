"""Conversations of other programs, read into ours: one small file per form."""
