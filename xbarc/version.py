"""The version of the package, apart from what else its front door brings."""

# The one place: pyproject.toml and the docs read it here. Reports that another version made are
# counted again.
VERSION = "0.2.0"
