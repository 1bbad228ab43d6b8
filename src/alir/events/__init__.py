"""What happened, as users are told it."""
