from .fragment_memory import check_memory
from .session import IntegerProduct, OnnxSession, RuntimeValue, lacks_kernel

__all__ = ["IntegerProduct", "OnnxSession", "RuntimeValue", "check_memory", "lacks_kernel"]
