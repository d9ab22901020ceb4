from .programs import is_program, load_program, save_program

__all__ = ["is_program", "load_program", "save_program"]
