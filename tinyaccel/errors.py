"""Every exception that tinyaccel raises on purpose.

    TinyaccelError
    ├── ShapeError        (ValueError)    shapes that don't fit together
    │   └── AxisError     (IndexError)    an axis that the shape doesn't have
    ├── DTypeError        (TypeError)     a dtype the op doesn't take, a value the dtype can't hold
    ├── IndexRangeError   (IndexError)    an index outside the axis it points into
    ├── ArgumentError     (ValueError)    an attribute or option with an impossible value
    ├── DeviceError       (RuntimeError)  an unknown or absent device, two devices in one op
    ├── BackendError      (RuntimeError)  a backend that is missing a package or a kernel
    ├── GradientError     (RuntimeError)  a gradient that can't be had, or of the wrong shape
    ├── TraceError        (RuntimeError)  something that `jit` can't trace
    ├── GraphError        (RuntimeError)  a graph that breaks its own rules
    ├── KernelError       (RuntimeError)  a fault inside a kernel, as an emulator reports it
    ├── CheckError        (AssertionError)  two results further apart than their error budget
    ├── DataError         (ValueError)    a data file or label that isn't what it should be
    ├── TrainError        (RuntimeError)  training that can't go on: a loss that isn't finite
    ├── SaveError         (RuntimeError)  a file that can't be written: what was there before stays
    └── PackageError      (ImportError)   an optional package that isn't installed

Each message is one line: the op, what arrived, what was expected, what to do.
"""


class TinyaccelError(Exception):
    """Base of all exceptions that tinyaccel raises on purpose."""


class ShapeError(TinyaccelError, ValueError):
    """Shapes that don't fit together."""


class AxisError(ShapeError, IndexError):
    """An axis that the shape doesn't have."""


class DTypeError(TinyaccelError, TypeError):
    """A dtype that the op doesn't take, or a value that the dtype can't hold."""


class IndexRangeError(TinyaccelError, IndexError):
    """An index outside the axis that it points into."""


class ArgumentError(TinyaccelError, ValueError):
    """An attribute or option with an impossible value."""


class DeviceError(TinyaccelError, RuntimeError):
    """An unknown or absent device, or two devices in one op."""


class BackendError(TinyaccelError, RuntimeError):
    """A backend that is missing a package or a kernel."""


class GradientError(TinyaccelError, RuntimeError):
    """A gradient that can't be had, or one of the wrong shape."""


class TraceError(TinyaccelError, RuntimeError):
    """Something that `jit` can't trace."""


class GraphError(TinyaccelError, RuntimeError):
    """A graph that breaks its own rules."""


class KernelError(TinyaccelError, RuntimeError):
    """A fault inside a kernel: a missing barrier, an access out of bounds, ..."""


class CheckError(TinyaccelError, AssertionError):
    """Two results that are further apart than their error budget allows."""


class DataError(TinyaccelError, ValueError):
    """A data file or a label that isn't what it should be."""


class TrainError(TinyaccelError, RuntimeError):
    """Training that can't go on: a loss that isn't finite."""


class SaveError(TinyaccelError, RuntimeError):
    """A file that can't be written; what was there before is still there."""


class PackageError(TinyaccelError, ImportError):
    """An optional package that isn't installed."""
