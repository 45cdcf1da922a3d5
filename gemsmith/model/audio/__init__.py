"""The ear of E2B and E4B: log-mel frames to soft tokens, through a tower of conformer layers."""
