"""What `bench/audit.py` is made of: rows with planted copies, and an arm for each tool, run in a process of its own."""
