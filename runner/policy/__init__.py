"""Rules, pure: no I/O, every outcome explained."""
