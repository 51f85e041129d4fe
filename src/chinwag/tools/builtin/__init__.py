"""The tools that come with the program; each file is imported when its tool is offered."""
