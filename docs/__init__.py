"""The pages for users, and what holds them to the program."""
