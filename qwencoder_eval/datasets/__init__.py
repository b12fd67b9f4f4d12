"""Where rows come from: beside the benchmark, $QCEVAL_DATA, the cache, the hub; pinned by content."""
