// SPDX-License-Identifier: MIT OR Apache-2.0
//! The word that someone will have meant.

/// The known word that is nearest to the written one, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    let written = plain(written);
    // One slip in a short word, two or three in a long one; more is another word.
    let slips = |known: &str| (known.chars().count().max(written.chars().count()) / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &plain(word)), word))
        .filter(|(distance, word)| *distance <= slips(word) && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// What xfs_io, the shell's tools and system calls call the steps of a case.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cat", "read"),
    ("chattr", "set-flags"),
    ("collapse-range", "collapse"),
    ("copy-file-range", "copy"),
    ("copy-range", "copy"),
    ("cowextsize", "set-flags"),
    ("cp", "copy"),
    ("dedupe-range", "dedupe"),
    ("drop-cache", "drop-caches"),
    ("exec", "run"),
    ("extsize", "set-flags"),
    ("falloc", "allocate"),
    ("fallocate", "allocate"),
    ("fcollapse", "collapse"),
    ("fdatasync", "sync"),
    ("finsert", "insert"),
    ("fpunch", "punch"),
    ("fsfreeze", "freeze"),
    ("fsync", "sync"),
    ("ftruncate", "truncate"),
    ("funshare", "unshare"),
    ("fzero", "zero"),
    ("getfattr", "get-xattr"),
    ("getxattr", "get-xattr"),
    ("insert-range", "insert"),
    ("kill", "release"),
    ("ln", "link"),
    ("ls", "list"),
    ("madvise", "advise"),
    ("mmap", "victim"),
    ("mread", "touch"),
    ("munmap", "unmap"),
    ("mv", "rename"),
    ("mwrite", "store"),
    ("prctl", "policy"),
    ("pread", "read"),
    ("punch-hole", "punch"),
    ("pwrite", "write"),
    ("readdir", "list"),
    ("rm", "unlink"),
    ("setfattr", "set-xattr"),
    ("setxattr", "set-xattr"),
    ("sh", "run"),
    ("shell", "run"),
    ("syncfs", "sync"),
    ("umount", "unmount"),
    ("unshare-range", "unshare"),
    ("xfs-freeze", "freeze"),
    ("xfs-io", "run"),
    ("xfs-repair", "repair"),
    ("zero-range", "zero"),
];

/// The step that other tools call by the written word, if it may stand here.
pub(crate) fn elsewhere<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('_', "-");
    let (_, ours) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == written)?;
    known.iter().copied().find(|word| word == ours)
}

/// Offers a word.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// What to do about an unknown word: the nearest known one, else all of them if they are few; `None` if nobody can say.
///
/// `what` is what such a word names, in the singular.
pub fn way_out(written: &str, what: &str, known: &[&str]) -> Option<String> {
    const FEW: usize = 14;
    let meant = elsewhere(written, known).or_else(|| nearest(written, known.iter().copied()));
    match (meant, known) {
        (Some(word), _) => Some(did_you_mean(word)),
        (None, []) => None,
        (None, [only]) => Some(format!("the only {what} is `{only}`")),
        (None, many) if many.len() <= FEW => {
            let words: Vec<_> = many.iter().map(|word| format!("`{word}`")).collect();
            Some(format!("choose one of {}", words.join(", ")))
        }
        (None, _) => None,
    }
}
