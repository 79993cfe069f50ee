//! Stand-in until the flash keeps values: memory that forgets.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use vaka_device::{Fault, Keep, Key};

#[derive(Debug, Default)]
pub struct Memory(BTreeMap<Key, Vec<u8>>);

impl Keep for Memory {
    fn read<'b>(&mut self, key: Key, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        Ok(self.0.get(&key).map(|value| {
            buffer[..value.len()].copy_from_slice(value);
            &buffer[..value.len()]
        }))
    }
    fn write(&mut self, key: Key, value: &[u8]) -> Result<(), Fault> {
        self.0.insert(key, value.to_vec());
        Ok(())
    }
    fn remove(&mut self, key: Key) -> Result<(), Fault> {
        self.0.remove(&key);
        Ok(())
    }
    fn each(&mut self, of: Range<Key>, found: &mut dyn FnMut(Key, &[u8])) -> Result<(), Fault> {
        self.0.range(of).for_each(|(key, value)| found(*key, value));
        Ok(())
    }
}
