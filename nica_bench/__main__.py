"""`python -m nica_bench` is the same as `nica-bench`."""

from nica_bench.cli import main

if __name__ == "__main__":
    main()
