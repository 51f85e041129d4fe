"""Foreign text made safe to show, and its width in terminal cells; pure."""
