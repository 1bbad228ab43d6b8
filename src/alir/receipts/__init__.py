"""What providers tell us after they took a message."""
