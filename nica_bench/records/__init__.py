"""Records of runs: what they say, where they lie on the disk, and how folders of them are read, packed and merged."""
