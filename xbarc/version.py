"""The version of the package, apart from what else its front door brings."""

# As in pyproject.toml. Reports that another version made are counted again.
VERSION = "0.1.0"
