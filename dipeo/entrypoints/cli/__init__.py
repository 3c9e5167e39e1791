"""The command line: `dipeo ask`, `chat`, `converse`, `persons`, `conversation`, `models`, `doctor` and `simulate`."""
