//! The file: a tar of plain files, the manifest as the last of them, and a seal.
//!
//! The seal is a member of a fixed form that holds the sha256 of every byte before it, and nothing stands behind it but tar's own
//! end. So one look at the whole says whether the file is the one that was written; the manifest then says which part is not.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Component, Path};

use anyhow::{Context as _, anyhow, bail};
use domain::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::manifest::{FORM, Manifest, Member};
use crate::clock::hex;

/// The manifest's name.
const MANIFEST: &str = "manifest.json";
/// The seal's name.
const SEAL: &str = "seal.sha256";
/// Of the seal with its header, and of tar's end.
const TAIL: u64 = 512 + 512 + 1024;
/// A manifest is no longer: a million blobs and as many again.
const MANIFEST_BYTES: u64 = 1 << 30;

/// Bytes on their way somewhere, counted and hashed.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// What went through so far.
    pub(crate) fn so_far(&self) -> (u64, Digest) {
        (self.bytes, digest(self.hash.clone()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count(&buffer[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.count(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn digest(hash: Sha256) -> Digest {
    let text = hex(&hash.finalize());
    Digest::new(text).unwrap_or_else(|_| unreachable!("a sha256 has 64 digits"))
}

/// A backup that is being written.
pub(crate) struct Archive {
    tar: tar::Builder<Hashing<io::BufWriter<File>>>,
    members: Vec<Member>,
}

impl Archive {
    pub(crate) fn new(file: File) -> Self {
        Self { tar: tar::Builder::new(Hashing::new(io::BufWriter::new(file))), members: Vec::new() }
    }

    /// Adds a file of exactly so many bytes.
    pub(crate) fn add(&mut self, name: &str, size: u64, bytes: impl Read) -> anyhow::Result<Digest> {
        let mut bytes = Hashing::new(bytes.take(size));
        self.tar.append_data(&mut header(size), name, &mut bytes).with_context(|| format!("{name} cannot be kept"))?;
        let (read, sha256) = bytes.so_far();
        if read != size {
            bail!("{name} became shorter while it was read: {read} of {size} bytes");
        }
        self.members.push(Member { name: name.to_owned(), size, sha256: sha256.clone() });
        Ok(sha256)
    }

    /// Adds bytes.
    pub(crate) fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.add(name, bytes.len() as u64, bytes).map(drop)
    }

    /// Adds a file as it stands now.
    pub(crate) fn add_file(&mut self, name: &str, file: File) -> anyhow::Result<Digest> {
        let size = file.metadata().with_context(|| format!("{name} cannot be read"))?.len();
        self.add(name, size, file)
    }

    /// Writes the manifest and the seal, and brings all of it onto the disk. The seal, and the whole file's size.
    pub(crate) fn seal(mut self, mut manifest: Manifest) -> anyhow::Result<(Digest, u64, Manifest)> {
        manifest.members = self.members;
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.tar.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
        let (bytes, sealed) = self.tar.get_ref().so_far();
        append_seal(&mut self.tar, &sealed)?;
        let mut writer = self.tar.into_inner()?;
        writer.flush()?;
        writer.inner.get_ref().sync_all()?;
        Ok((sealed, bytes + TAIL, manifest))
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

fn append_seal<W: Write>(tar: &mut tar::Builder<W>, sealed: &Digest) -> io::Result<()> {
    tar.append_data(&mut header(sealed.as_str().len() as u64), SEAL, sealed.as_str().as_bytes())
}

/// What stands behind the last byte that a seal covers.
fn tail(sealed: &Digest) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    append_seal(&mut tar, sealed)?;
    tar.into_inner()
}

/// A backup whose seal fits.
#[derive(Debug)]
pub(crate) struct Sound {
    file: File,
    body: u64,
    /// Of all bytes before the seal: by it a backup is known.
    pub(crate) seal: Digest,
    /// What it says of itself.
    pub(crate) manifest: Manifest,
}

/// Reads all of a backup. What was cut short or changed is refused by name.
pub(crate) fn open(path: &Path) -> anyhow::Result<Sound> {
    let mut file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let size = file.metadata()?.len();
    let seal = read_seal(&mut file, size)?.with_context(|| {
        format!("{} is no backup, or it was cut short: the seal at its end is not there", path.display())
    })?;
    let body = size - TAIL;
    file.rewind()?;
    let mut reader = Hashing::new(io::BufReader::new((&file).take(body)));
    let walked = walk(&mut reader);
    io::copy(&mut reader, &mut io::sink())?;
    let (_, found) = reader.so_far();
    match walked {
        Ok(walked) if found == seal => {
            let manifest = walked.agree().with_context(|| format!("{} is refused", path.display()))?;
            Ok(Sound { file, body, seal, manifest })
        }
        Ok(walked) => {
            let what = walked.agree().err().map_or_else(|| "its own order".to_owned(), |error| error.to_string());
            bail!("{} is not as it was written, its seal does not fit: {what}", path.display())
        }
        Err(error) => Err(error.context(format!("{} is not as it was written", path.display()))),
    }
}

/// The seal, if one stands at the end in its one form.
fn read_seal(file: &mut File, size: u64) -> anyhow::Result<Option<Digest>> {
    if size < TAIL {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(size - TAIL))?;
    let mut found = Vec::new();
    file.take(TAIL).read_to_end(&mut found)?;
    let text = found.get(512..512 + 64).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(seal) = text.and_then(|text| Digest::new(text).ok()) else { return Ok(None) };
    Ok((tail(&seal)? == found).then_some(seal))
}

/// What is in a file, as it is.
struct Walked {
    members: Vec<Member>,
    manifest: Vec<u8>,
}

fn walk(reader: impl Read) -> anyhow::Result<Walked> {
    let mut walked = Walked { members: Vec::new(), manifest: Vec::new() };
    for entry in tar::Archive::new(reader).entries()? {
        let mut entry = entry.context("a header in it does not read")?;
        let (name, size) = (plain_name(&entry)?, entry.size());
        if name == MANIFEST {
            if size > MANIFEST_BYTES {
                bail!("its manifest is longer than {MANIFEST_BYTES} bytes");
            }
            entry.read_to_end(&mut walked.manifest)?;
            continue;
        }
        let mut bytes = Hashing::new(&mut entry);
        io::copy(&mut bytes, &mut io::sink()).with_context(|| format!("{name} does not read"))?;
        let (size, sha256) = bytes.so_far();
        walked.members.push(Member { name, size, sha256 });
    }
    Ok(walked)
}

impl Walked {
    /// The manifest, if it tells of exactly what is there.
    fn agree(&self) -> anyhow::Result<Manifest> {
        #[derive(serde::Deserialize)]
        struct Form {
            form: u32,
        }
        if self.manifest.is_empty() {
            bail!("its manifest is not there");
        }
        let form: Form = serde_json::from_slice(&self.manifest).context("its manifest does not read")?;
        if form.form != FORM {
            bail!("it is of form {}, and this program knows {FORM}: a newer gatewright reads it", form.form);
        }
        let manifest: Manifest = serde_json::from_slice(&self.manifest).context("its manifest does not read")?;
        for (told, found) in manifest.members.iter().zip(&self.members) {
            if told.name != found.name {
                bail!("{} stands where {} should", found.name, told.name);
            }
            if told != found {
                bail!("{} is not the one that was kept", told.name);
            }
        }
        match manifest.members.len().cmp(&self.members.len()) {
            std::cmp::Ordering::Equal => Ok(manifest),
            std::cmp::Ordering::Greater => bail!("{} is missing", manifest.members[self.members.len()].name),
            std::cmp::Ordering::Less => bail!("{} was added", self.members[manifest.members.len()].name),
        }
    }
}

/// A relative path of plain parts to a plain file; else whoever wrote this wants to write elsewhere.
fn plain_name<R: Read>(entry: &tar::Entry<'_, R>) -> anyhow::Result<String> {
    let path = entry.path().context("a name in it does not read")?;
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let name = path.to_str().filter(|name| plain && !name.is_empty()).map(str::to_owned);
    let name = name.ok_or_else(|| anyhow!("a file in it is named {:?}", path.display().to_string()))?;
    if entry.header().entry_type() != tar::EntryType::Regular {
        bail!("{name} in it is no plain file");
    }
    Ok(name)
}

impl Sound {
    /// Hands out each file but the manifest; what is read then must be what the manifest tells.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(&Member, &mut dyn Read) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut file = &self.file;
        file.rewind()?;
        let mut told = self.manifest.members.iter();
        for entry in tar::Archive::new(io::BufReader::new(file.take(self.body))).entries()? {
            let entry = entry?;
            let name = plain_name(&entry)?;
            let Some(member) = told.next().filter(|member| member.name == name) else { continue };
            let mut bytes = Hashing::new(entry);
            take(member, &mut bytes).with_context(|| format!("{name} cannot be restored"))?;
            if bytes.so_far() != (member.size, member.sha256.clone()) {
                bail!("{name} changed while it was read");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
