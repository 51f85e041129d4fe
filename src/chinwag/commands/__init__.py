"""What a slash can do: one table, read by the parser, the completer, the help and the guide."""
