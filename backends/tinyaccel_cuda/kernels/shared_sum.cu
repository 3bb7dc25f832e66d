// The sum of n float32 values: one partial sum a block; a second launch with one block adds those.
//
// First each thread walks the input with the whole grid's stride and adds up its own share in a
// register. Then the block's 256 shares are added as a tree in shared memory: 128 threads add the
// upper half to the lower, then 64, 32, ... 1. Between two steps stands a barrier, outside the if,
// for all threads: without it a thread reads what its neighbour hasn't written yet.
//
// A tree is also more exact than a running total: a rounding error passes through 8 additions in
// it, not through 255.
//
// Bytes moved: 4 read an element, 4 written a block. Shared memory carries the 8 steps.
extern "C" __global__ void shared_sum(const float* __restrict__ x, float* __restrict__ partial,
                                      long long n) {
  __shared__ float share[256];
  int t = threadIdx.x;

  float total = 0.0f;
  long long step = gridDim.x * (long long)blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + t; i < n; i += step) {
    total += x[i];
  }
  share[t] = total;
  __syncthreads();

  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half) {
      share[t] += share[t + half];
    }
    __syncthreads();
  }

  if (t == 0) {
    partial[blockIdx.x] = share[0];
  }
}
