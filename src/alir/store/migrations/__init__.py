"""The schema's history, run by Alembic when a database is opened."""

#: The newest version. A test compares it with the files in `versions/`.
HEAD = "0008"
