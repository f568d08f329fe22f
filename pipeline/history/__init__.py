"""What ran: runs, how each ended, where a version comes from, how two runs compare."""
