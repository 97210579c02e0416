"""The built-in methods, one file per family. The engine finds the files of this folder and knows none by name."""
