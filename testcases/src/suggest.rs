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

/// Offers a word.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// What to do about an unknown word: the nearest known one, else all of them if they are few.
pub(crate) fn way_out(written: &str, what: &str, known: &[&str]) -> Option<String> {
    const FEW: usize = 14;
    match (nearest(written, known.iter().copied()), known) {
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
