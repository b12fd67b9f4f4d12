"""Which problems of a benchmark are in a corpus: n-gram index, corpus scan, report."""
