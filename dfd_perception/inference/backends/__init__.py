"""The runtimes that can run a network, each in one file, behind one protocol."""
