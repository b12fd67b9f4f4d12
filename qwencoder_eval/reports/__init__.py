"""Reports: the table at the end of a run; leaderboards come here too."""
