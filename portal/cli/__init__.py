"""The `sekisho` command: one module for each group. Heavy imports stay inside the functions, so help is quick."""
