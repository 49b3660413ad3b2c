"""The problems of the source papers, the baselines, and the tables that compare them."""
