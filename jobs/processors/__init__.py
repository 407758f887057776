"""What is done to one item: the contract, the registry, the built-in processors."""

from jobs.processors.base import Amended, Context, Failed, Input, InvalidInput, Parameter, ParameterError, Processor
from jobs.processors.call import Call, Task
from jobs.processors.fetch_url import FetchUrl
from jobs.processors.registry import UnknownProcessor, all_processors, get, load, names, processor, register
from jobs.processors.rewrite_query import RewriteQuery, batch_process_queries
from jobs.processors.simulate import Simulate
from jobs.processors.storable import NotStorable

__all__ = [
    "Amended",
    "Call",
    "Context",
    "Failed",
    "Input",
    "InvalidInput",
    "NotStorable",
    "Parameter",
    "ParameterError",
    "Processor",
    "Task",
    "UnknownProcessor",
    "all_processors",
    "batch_process_queries",
    "get",
    "load",
    "names",
    "processor",
    "register",
]

for built_in in (RewriteQuery, FetchUrl, Simulate):
    register(built_in)
