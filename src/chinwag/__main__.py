"""`python -m chinwag` is `chat`."""

from chinwag.boot import main

main()
