"""What the person has set, where it came from, and where things live on this machine."""
