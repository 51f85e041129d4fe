"""The conversation: knows the first floor by its promises only, touches no socket and no file."""
