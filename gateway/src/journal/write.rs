//! Writing a batch: one write and one sync, at the end of the last segment or as the beginning of a new one.
//!
//! Enters: the batch, sealed here. Leaves: a longer segment, or an error that poisons the journal.
//! Where the disk is full, the batch is the beginning of a segment whose blocks have been held back: see [`super::reserve`].

use super::disk::DiskFile;
use super::error::{DiskError, at};
use super::format::{Head, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentName, seal};
use super::scan::Located;
use super::{Core, Failed, head};
use crate::limits::SEQ_LEASE;

impl Core {
    /// On an error `writing` says which bytes must not be believed.
    pub(super) fn write_batch(&mut self) -> Result<(), DiskError> {
        if self.next_seq > self.head.ceiling {
            // Before the numbers are on the disk, not after: a crash in between must not hand them out again.
            let head = Head { ceiling: self.next_seq + SEQ_LEASE, floor: self.floor(), boot: self.boot };
            head::store(&*self.options.disk, &self.paths, &head)?;
            self.head = head;
        }
        let records = (self.batch.len() - SEGMENT_HEADER_BYTES) as u64;
        let seq = self.next_seq - self.batch_records as u64;
        match (&self.active, self.segments.last_mut()) {
            (Some(file), Some(segment)) if segment.len + records <= self.options.segment_bytes => {
                seal(&mut self.batch[SEGMENT_HEADER_BYTES..], segment.salt);
                self.writing = Some(Failed { segment: segment.name.clone(), from: segment.len, seq });
                let wrote = file.write_at(&self.batch[SEGMENT_HEADER_BYTES..], segment.len);
                match wrote.map_err(at("writing", &segment.path)) {
                    Err(error) if error.is_full() && self.reserve.is_ready() => {
                        // No record may stand half in front of the segment that follows.
                        file.set_len(segment.len).map_err(at("cutting", &segment.path))?;
                        file.sync_all().map_err(at("syncing", &segment.path))?;
                        let new = self.new_segment(seq);
                        self.begin_segment_in_reserve(new)?;
                    }
                    other => {
                        other?;
                        file.sync_data().map_err(at("syncing", &segment.path))?;
                        segment.len += records;
                    }
                }
            }
            _ => self.begin_segment(seq)?,
        }
        self.writing = None;
        self.last_seq = self.next_seq - 1;
        Ok(())
    }

    /// Writes the batch as the beginning of a new segment.
    fn begin_segment(&mut self, first_seq: u64) -> Result<(), DiskError> {
        let disk = self.options.disk.clone();
        let new = self.new_segment(first_seq);
        let created = disk.create(&new.path).map_err(at("creating", &new.path));
        let wrote = created.and_then(|file| {
            file.write_at(&self.batch, 0).map_err(at("writing", &new.path))?;
            Ok(file)
        });
        match wrote {
            Err(error) if error.is_full() && self.reserve.is_ready() => self.begin_segment_in_reserve(new),
            other => self.finish_segment(new, other?),
        }
    }

    /// As [`Self::begin_segment`], in blocks that have been held back for this.
    fn begin_segment_in_reserve(&mut self, new: Located) -> Result<(), DiskError> {
        let disk = self.options.disk.clone();
        let file = self.take_reserve(&new.path)?;
        file.write_at(&self.batch, 0).map_err(at("writing", &new.path))?;
        disk.sync_dir(&self.paths.dir).map_err(at("syncing", &self.paths.dir))?;
        self.finish_segment(new, file)
    }

    /// Names a segment that is to begin with the batch, and seals the batch for it.
    fn new_segment(&mut self, first_seq: u64) -> Located {
        let salt = self.options.disk.random();
        let name = SegmentName { first_seq, salt }.to_string();
        let path = self.paths.segments.join(&name);
        let previous = self.segments.last().map_or(0, |s| s.first_seq);
        let header = SegmentHeader { salt, first_seq, previous, boot: self.boot, sealed: self.ring.is_some() };
        self.batch[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
        seal(&mut self.batch[SEGMENT_HEADER_BYTES..], salt);
        self.active = None;
        self.writing = Some(Failed { segment: name.clone(), from: 0, seq: first_seq });
        let len = self.batch.len() as u64;
        Located { path, name, first_seq, salt, header: Some(header), misnamed: false, len }
    }

    fn finish_segment(&mut self, new: Located, file: Box<dyn DiskFile>) -> Result<(), DiskError> {
        file.sync_data().map_err(at("syncing", &new.path))?;
        let disk = &*self.options.disk;
        disk.sync_dir(&self.paths.segments).map_err(at("syncing", &self.paths.segments))?;
        self.segments.push(new);
        self.active = Some(file);
        Ok(())
    }
}
