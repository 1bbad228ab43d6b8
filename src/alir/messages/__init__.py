"""What a Flow message is: its shape, its rules, its life."""
