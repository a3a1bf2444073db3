"""What is measured: a function for each case, which gets a `Bench` and returns figures."""
