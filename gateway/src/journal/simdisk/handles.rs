//! The simulated disk as the journal sees it: [`Disk`], its files and its lock.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use super::{Change, EIO, ENOSPC, Fault, Inode, PAGE, SimDisk, State};
use crate::journal::disk::{Disk, DiskFile, DiskLock, Locked};

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

fn killed() -> io::Error {
    io::Error::other("the process that opened this file was killed")
}

impl SimDisk {
    /// The state, for a process that lives.
    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dying { Err(killed()) } else { Ok(state) }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.living()?;
        let due = state.due(|fault| if let Fault::DirSyncFails(left) = fault { Some(left) } else { None });
        if due.is_some() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        state.sync_dir(dir);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.living()?;
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.living()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.files.last_key_value().map_or(0, |(inode, _)| inode + 1);
        state.files.insert(inode, Inode::default());
        state.names.insert(path.to_owned(), inode);
        state.changes.push(Change { dir: parent(path), removed: None, added: vec![(path.to_owned(), inode)] });
        Ok(Box::new(SimFile { disk: self.clone(), inode, life: state.life }))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn DiskFile>> {
        let state = self.living()?;
        let inode = *state.names.get(path).ok_or_else(not_found)?;
        Ok(Box::new(SimFile { disk: self.clone(), inode, life: state.life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.living()?;
        let inode = state.names.remove(from).ok_or_else(not_found)?;
        state.names.insert(to.to_owned(), inode);
        let added = vec![(to.to_owned(), inode)];
        state.changes.push(Change { dir: parent(to), removed: Some(from.to_owned()), added });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.living()?;
        state.names.remove(path).ok_or_else(not_found)?;
        state.changes.push(Change { dir: parent(path), removed: Some(path.to_owned()), added: Vec::new() });
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Locked> {
        if !self.living()?.names.contains_key(path) {
            self.create(path)?;
        }
        let mut state = self.living()?;
        let file = SimFile { inode: state.names[path], life: state.life, disk: self.clone() };
        if state.locks.contains_key(path) {
            drop(state);
            return Ok(Locked::Held(read_note(&file)?));
        }
        state.locks.insert(path.to_owned(), file.life);
        Ok(Locked::Mine(Box::new(SimLock { file, path: path.to_owned() })))
    }

    fn random(&self) -> u32 {
        self.state().rng.next_u64() as u32
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        let mut state = self.living()?;
        let inode = |path: &Path| state.names.get(path).copied().ok_or_else(not_found);
        let added = vec![(a.to_owned(), inode(b)?), (b.to_owned(), inode(a)?)];
        state.names.extend(added.clone());
        state.changes.push(Change { dir: parent(a), removed: None, added });
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    life: u64,
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.living()?;
        if state.life != self.life {
            return Err(killed());
        }
        f(&mut state)
    }

    fn file<'s>(&self, state: &'s mut State) -> io::Result<&'s mut Inode> {
        state.files.get_mut(&self.inode).ok_or_else(not_found)
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(self.file(state)?.live.len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|state| {
            let file = self.file(state)?;
            let from = (at as usize).min(file.live.len());
            let to = file.live.len().min(from + bytes.len());
            let bad = file.bad.range(from / PAGE..to.div_ceil(PAGE)).next().copied();
            let to = match bad {
                Some(page) if page * PAGE <= from => return Err(io::Error::from_raw_os_error(EIO)),
                Some(page) => page * PAGE,
                None => to,
            };
            bytes[..to - from].copy_from_slice(&file.live[from..to]);
            Ok(to - from)
        })
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.with(|state| {
            let mut stop = bytes.len();
            let mut result = Ok(());
            let due = state.due(|fault| if let Fault::WriteStops(left, _) = fault { Some(left) } else { None });
            if let Some(Fault::WriteStops(_, after)) = due {
                stop = stop.min(after);
                result = Err(io::Error::from_raw_os_error(EIO));
            }
            let due = state.due(|fault| if let Fault::DiesWriting(left, _) = fault { Some(left) } else { None });
            if let Some(Fault::DiesWriting(_, after)) = due {
                stop = stop.min(after);
                result = Err(killed());
                state.dying = true;
            }
            let growth = (at + stop as u64).saturating_sub(self.file(state)?.size());
            if let Some(capacity) = state.capacity {
                let room = capacity.saturating_sub(state.used());
                if growth > room {
                    stop = stop.saturating_sub((growth - room) as usize);
                    result = Err(io::Error::from_raw_os_error(ENOSPC));
                }
            }
            let file = self.file(state)?;
            let (from, to) = (at as usize, at as usize + stop);
            if file.live.len() < to {
                file.live.resize(to, 0);
            }
            file.live[from..to].copy_from_slice(&bytes[..stop]);
            file.touch(from, to);
            result
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            let due = state.due(|fault| if let Fault::SyncFails(left) = fault { Some(left) } else { None });
            if due.is_some() {
                let mut rng = state.rng.clone();
                let file = self.file(state)?;
                for page in std::mem::take(&mut file.dirty) {
                    if rng.one_in(4) {
                        file.write_back(page);
                    }
                }
                state.rng = rng;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let due = state.due(|fault| if let Fault::DiesSyncing(left) = fault { Some(left) } else { None });
            if due.is_some() {
                state.dying = true;
                return Err(killed());
            }
            self.file(state)?.sync();
            state.syncs += 1;
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            let file = self.file(state)?;
            let (old, len) = (file.live.len(), len as usize);
            file.live.resize(len, 0);
            // Cutting rewrites the page that is cut in two.
            file.touch(len.min(old) / PAGE * PAGE, old.max(len));
            file.held = 0;
            Ok(())
        })
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.with(|state| {
            let growth = bytes.saturating_sub(self.file(state)?.size());
            if state.capacity.is_some_and(|capacity| growth > capacity.saturating_sub(state.used())) {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            self.file(state)?.held = bytes as usize;
            Ok(())
        })
    }

    fn allocated(&self) -> io::Result<u64> {
        self.with(|state| Ok(self.file(state)?.size()))
    }
}

fn read_note(file: &SimFile) -> io::Result<String> {
    let mut bytes = vec![0; 256];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).trim_end().to_owned())
}

struct SimLock {
    file: SimFile,
    path: PathBuf,
}

impl DiskLock for SimLock {
    fn note(&self) -> io::Result<String> {
        read_note(&self.file)
    }

    fn set_note(&self, text: &str) -> io::Result<()> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(256, b' ');
        self.file.with(|state| {
            let file = self.file.file(state)?;
            file.live = bytes;
            file.touch(0, 256);
            Ok(())
        })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.file.disk.state();
        if state.locks.get(&self.path) == Some(&self.file.life) {
            state.locks.remove(&self.path);
        }
    }
}
