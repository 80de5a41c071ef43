"""Work that is shared between workers: processes of this machine, or Ray's actors."""
