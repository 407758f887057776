"""What is done to one item: the contract, the registry, the built-in processors."""

from jobs.processors.base import Context, Input, InvalidInput, Parameter, ParameterError, Processor
from jobs.processors.call import Call, Task
from jobs.processors.registry import UnknownProcessor, all_processors, get, load, names, processor, register
from jobs.processors.storable import NotStorable

__all__ = [
    "Call",
    "Context",
    "Input",
    "InvalidInput",
    "NotStorable",
    "Parameter",
    "ParameterError",
    "Processor",
    "Task",
    "UnknownProcessor",
    "all_processors",
    "get",
    "load",
    "names",
    "processor",
    "register",
]
