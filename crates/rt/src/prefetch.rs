//! A hint to the processor.

/// Bytes that a processor fetches at once.
const LINE: usize = 64;
/// Bytes of a value that are fetched: asking for much more than a processor can wait for at a time delays what is needed first.
const BYTES_MAX: usize = 4 * LINE;

/// Has the processor bring the first 256 bytes of a value near while the program goes on. Of very many values that are
/// needed one after the other, the waits for memory then overlap. On processors without such a hint it does nothing.
#[inline]
#[allow(unsafe_code, reason = "the hint takes a raw pointer")]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(value).min(BYTES_MAX)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies within the value, and the hint reads nothing that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().add(at)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, BYTES_MAX);
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_of_any_size_can_be_asked_for() {
        super::prefetch(&());
        super::prefetch("");
        super::prefetch("name");
        super::prefetch(&[1_u64; 1000][..]);
    }
}
