"""The methods: one file a family. Found by their presence in this folder; the engine knows none by name."""
