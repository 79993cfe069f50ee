//! A model of parts that outlives a power cut, as a wheel stays where it stands and a clock chip has its cell: it lies in
//! the board's memory that is a file of the host.

use crate::flash::MODELS;

/// What says that there is one.
const MARK: u32 = 0x4d4f_4445;

#[repr(C)]
struct Place<T> {
    mark: u32,
    bytes: u32,
    model: T,
}

/// The model as the power cut left it and `back` then makes it, or a new one.
///
/// # Safety
/// Once. `T` is plain data without pointers, and good in any mixture of two of its states one step apart: the cut came
/// anywhere.
pub unsafe fn place<T>(new: impl FnOnce() -> T, back: impl FnOnce(T) -> T) -> &'static T {
    let place = MODELS as *mut Place<T>;
    let bytes = size_of::<Place<T>>() as u32;
    // SAFETY: within the board's memory, which is nobody else's there; a model is read only where one was written.
    unsafe {
        let is_there = (&raw const (*place).mark).read() == MARK && (&raw const (*place).bytes).read() == bytes;
        let model = if is_there { back((&raw const (*place).model).read()) } else { new() };
        (&raw mut (*place).model).write(model);
        (&raw mut (*place).bytes).write(bytes);
        (&raw mut (*place).mark).write(MARK);
        &(*place).model
    }
}
