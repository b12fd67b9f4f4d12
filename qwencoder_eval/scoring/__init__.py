"""Compare what a program answered with what was expected. Named, tested units; benchmarks choose among them."""
