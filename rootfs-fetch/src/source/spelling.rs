// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that were nearly right.

/// The known word that differs least from one that is not known; nothing if none is near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = if word.len() < 5 { 1 } else { 2 };
    let near = known.map(|known| (distance(word.as_bytes(), known.as_bytes()), known));
    near.filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be put in, taken out, changed, or swapped with the next.
fn distance(one: &[u8], other: &[u8]) -> usize {
    // the rows of the table of all beginnings: this one and the two before it
    let (mut oldest, mut last) = (Vec::new(), (0..=other.len()).collect::<Vec<usize>>());
    for (i, &a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in other.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut least =
                (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && one.get(i - 1) == Some(&b) && other.get(j - 1) == Some(&a) {
                least = least.min(at(&oldest, j - 1) + 1);
            }
            row.push(least);
        }
        oldest = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_letters() {
        for (one, other, expected) in [
            ("", "", 0),
            ("docker", "docker", 0),
            ("dockr", "docker", 1),
            ("dokcer", "docker", 1),
            ("http", "https", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }

    #[test]
    fn only_what_is_near_is_offered() {
        let known = || ["docker", "https", "oci"].into_iter();
        assert_eq!(nearest("dockr", known()), Some("docker"));
        assert_eq!(nearest("htps", known()), Some("https"));
        assert_eq!(nearest("ftp", known()), None);
        assert_eq!(nearest("s3", known()), None);
    }
}
