// IsaTable::matmul for one instruction set: which of tile.h and floats.h serves a format.
// Included inside the namespace of one instruction set, after tile.h and floats.h.

inline void matmul(const Matrix& m, int64_t begin, int64_t end, const Activations& x, int64_t num_tokens, float* out,
                   int64_t stride) {
    switch (m.format) {
        case Format::Q8: return matmul_quantized<Format::Q8>(m, begin, end, x.quantized, num_tokens, out, stride);
        case Format::Q4: return matmul_quantized<Format::Q4>(m, begin, end, x.quantized, num_tokens, out, stride);
        case Format::Q2: return matmul_quantized<Format::Q2>(m, begin, end, x.quantized, num_tokens, out, stride);
        case Format::F32: return matmul_floats<Format::F32>(m, begin, end, x.values, x.stride, num_tokens, out, stride);
        case Format::F16: return matmul_floats<Format::F16>(m, begin, end, x.values, x.stride, num_tokens, out, stride);
        case Format::BF16:
            return matmul_floats<Format::BF16>(m, begin, end, x.values, x.stride, num_tokens, out, stride);
        case Format::Q8Planes: return;  // the head's, which it multiplies by as Q4 and as Q8
    }
}
