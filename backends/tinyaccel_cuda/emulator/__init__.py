"""The emulators: CUDA kernels run on the CPU, one fiber or greenlet a thread, every access checked.

c_emulator runs CUDA C (with a C++ compiler, on Linux), numba_emulator runs Numba-CUDA kernels (with
greenlet). Both report the same bugs in the same words, which are written down in reports.

What they don't see: races in global memory, within a block or between blocks; in CUDA C, an index
that leaves one row of an array but not the array, and one that leaves a thread's own local array.
What they don't have: half and bfloat16 arithmetic, tensor cores, asynchronous copies, cooperative
groups, textures, and launches from within a kernel.
"""
