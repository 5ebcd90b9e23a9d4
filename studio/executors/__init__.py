"""Where runs are carried out: on this machine, on several of its devices, on a Ray cluster."""
