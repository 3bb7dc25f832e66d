// out = x + y for n float32 values: the first CUDA kernel everybody writes.
//
// One thread an element would do, but a grid has a size and n may be larger: so each thread starts
// at its own number in the grid and steps by the number of all threads (a grid-stride loop). Any
// grid computes any n, and neighbouring threads touch neighbouring addresses, which the memory
// serves in one go.
//
// Bytes moved: 8 read and 4 written an element, for one addition. Memory sets the speed.
extern "C" __global__ void vector_add(const float* __restrict__ x, const float* __restrict__ y,
                                      float* __restrict__ out, long long n) {
  long long first = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  long long step = gridDim.x * (long long)blockDim.x;
  for (long long i = first; i < n; i += step) {
    out[i] = x[i] + y[i];
  }
}
