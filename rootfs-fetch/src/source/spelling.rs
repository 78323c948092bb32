//! Misspelt words.

/// The known word nearest to a word, if it is near enough: at most two letters added, missing, different or
/// swapped; in a short word, one.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let max_distance = if word.len() < 5 { 1 } else { 2 };
    let near = known.map(|known| (strsim::osa_distance(word, known), known));
    let nearest =
        near.filter(|(distance, _)| *distance <= max_distance).min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_offered() {
        let known = || ["docker", "https", "oci"].into_iter();
        assert_eq!(nearest("dockr", known()), Some("docker"));
        assert_eq!(nearest("htps", known()), Some("https"));
        assert_eq!(nearest("dokcer", known()), Some("docker"));
        assert_eq!(nearest("ftp", known()), None);
        assert_eq!(nearest("s3", known()), None);
    }
}
