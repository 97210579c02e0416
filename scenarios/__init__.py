"""The built-in scenarios, one file per family. The engine finds the files of this folder and knows none by name."""
