"""Files that `nica-bench new` begins a method or a scenario with."""
