"""The command line: `dipeo ask`, `chat`, `converse`, `doctor` and `simulate`."""
