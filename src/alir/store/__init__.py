"""Where alir keeps everything: SQLite. What depends on the database stands in `database.py`."""
