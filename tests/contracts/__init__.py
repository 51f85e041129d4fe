"""What each kind of thing promises, as tests that any implementation inherits."""
