//! A hint to the processor.

/// Bytes that a processor fetches at once.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Has the processor bring the first `bytes_max` bytes of a value near while the program goes on. Of many values that are
/// needed one after the other, the waits for memory then overlap. On processors without such a hint it does nothing.
#[inline]
#[allow(unsafe_code, reason = "the hint takes a raw pointer")]
pub fn prefetch<T: ?Sized>(value: &T, bytes_max: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(value).min(bytes_max)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies within the value, and the hint reads nothing that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().add(at)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, bytes_max);
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn values_of_any_size_can_be_asked_for() {
        prefetch(&(), 64);
        prefetch("", 64);
        prefetch("name", usize::MAX);
        prefetch(&[1_u64; 1000][..], 100);
        prefetch(&[1_u64; 1000], usize::MAX);
    }
}
