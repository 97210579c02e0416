"""Reading and writing files: whole or not at all, arrays without pickles, TOML with line numbers."""
