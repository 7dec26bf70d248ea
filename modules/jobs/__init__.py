"""The durable queue: a job is a row in SQLite before it is work in memory. queue.py is what others use."""
