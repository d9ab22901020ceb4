"""The version of the package, apart from what else its front door brings."""

VERSION = "0.1.0"
