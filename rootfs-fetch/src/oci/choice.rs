//! Chooses one of several images that are stored together: by its name, its position, its platform.
//!
//! The first of several is never chosen merely because it is the first.

use crate::failure::{Failure, Kind, Result};
use crate::oci::model::{ImageChoice, Query, not_found};
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;

/// The maximum number of images in a hint.
const MAX_SHOWN: usize = 12;

/// An image of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Its position in the list, counted from 0.
    pub position: usize,
    /// Its names.
    pub names: Vec<String>,
    /// The same for two entries of one image.
    pub identity: String,
    /// The entry.
    pub image: T,
}

/// The images that a query can mean: several only if they have the same names and differ in their platforms.
/// An image with several names is one image.
///
/// # Errors
/// Not found, also if the query does not decide between several images.
pub fn choose<T>(images: Vec<Listed<T>>, query: Query<'_>) -> Result<Vec<Listed<T>>> {
    let shown: Vec<String> = images.iter().map(Listed::shown).collect();
    let chosen: Vec<Listed<T>> = match query.image {
        ImageChoice::Only => images,
        ImageChoice::At(position) => images.into_iter().filter(|one| one.position == position).collect(),
        ImageChoice::Named(name) => named(images, name),
    };
    if chosen.is_empty() {
        let what = match query.image {
            ImageChoice::Only => return Err(Failure::new(Kind::NotFound, "it contains no image")),
            ImageChoice::At(position) => format!("a position {position}"),
            ImageChoice::Named(name) => format!("the name {name:?}"),
        };
        return Err(not_found(&what, shown.get(..MAX_SHOWN).unwrap_or(&shown)));
    }
    let distinct = distinct(chosen);
    let same_names = distinct.windows(2).all(|pair| matches!(pair, [one, other] if one.names == other.names));
    if query.image == ImageChoice::Only && !same_names {
        Err(several(&distinct, query))
    } else {
        Ok(distinct)
    }
}

/// The images whose platform is nearest to the wanted one, all equally near. An image without a platform can
/// have any.
///
/// # Errors
/// Not found, if none can run there.
pub fn nearest<T>(images: Vec<(Listed<T>, Option<Platform>)>, query: Query<'_>) -> Result<Vec<Listed<T>>> {
    let wanted = query.platform.platform();
    let offered: Vec<String> =
        images.iter().filter_map(|(_, platform)| platform.as_ref()).map(Platform::to_string).collect();
    let distance = |platform: &Option<Platform>| match platform {
        Some(platform) => wanted.distance(platform),
        None => Some(u32::MAX),
    };
    let smallest = images.iter().filter_map(|(_, platform)| distance(platform)).min();
    let Some(smallest) = smallest else {
        return Err(not_found(&format!("the platform {wanted}"), &offered));
    };
    let near = images.into_iter().filter(|(_, platform)| distance(platform) == Some(smallest));
    Ok(near.map(|(image, _)| image).collect())
}

/// The image, if there is exactly one.
///
/// # Errors
/// Not found, if there are several: then none of them is chosen.
pub fn only<T>(mut images: Vec<Listed<T>>, query: Query<'_>) -> Result<Listed<T>> {
    match images.pop() {
        Some(only) if images.is_empty() => Ok(only),
        last => {
            images.extend(last);
            Err(several(&images, query))
        }
    }
}

/// The images with exactly this name, or else with an equivalent one.
fn named<T>(images: Vec<Listed<T>>, name: &str) -> Vec<Listed<T>> {
    let is_exact = images.iter().any(|image| image.names.iter().any(|one| one == name));
    let fits = |one: &String| if is_exact { one == name } else { same_name(one, name) };
    images.into_iter().filter(|image| image.names.iter().any(fits)).collect()
}

/// Whether two names mean the same image: `ubuntu` and `docker.io/library/ubuntu:latest`.
fn same_name(full: &str, asked: &str) -> bool {
    if full.strip_suffix(":latest") == Some(asked) {
        // docker once allowed capital letters, which references cannot have
        return true;
    }
    // a tag alone does not name an image
    let is_name = full.contains([':', '/']);
    let parsed = |name: &str| name.parse::<Reference>().ok();
    is_name && parsed(full).is_some_and(|full| parsed(asked) == Some(full))
}

/// Removes entries for an image that another entry has already named.
fn distinct<T>(images: Vec<Listed<T>>) -> Vec<Listed<T>> {
    let mut seen = std::collections::HashSet::new();
    images.into_iter().filter(|image| seen.insert(image.identity.clone())).collect()
}

/// The failure for several images of which none was chosen.
fn several<T>(images: &[Listed<T>], query: Query<'_>) -> Failure {
    let line = match query.image {
        ImageChoice::Only => "SOURCE has several images".to_string(),
        ImageChoice::Named(name) => format!("several images have the name {name:?}"),
        ImageChoice::At(position) => format!("several images are at position {position}"),
    };
    let one = |image: &Listed<T>| {
        let name = image.names.first().map_or("unnamed", String::as_str);
        format!("'{}:@{}' ({name})", query.source, image.position)
    };
    let mut shown: Vec<String> = images.iter().take(MAX_SHOWN).map(one).collect();
    if images.len() > MAX_SHOWN {
        shown.push(format!("and {} more", images.len() - MAX_SHOWN));
    }
    Failure::new(Kind::NotFound, line).hint(format_args!("choose one: {}", shown.join(", ")))
}

impl<T> Listed<T> {
    /// Its name, or its position if it has none.
    fn shown(&self) -> String {
        if self.names.is_empty() { format!("@{}", self.position) } else { self.names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::platform::WantedPlatform;

    fn listed(names: &[&[&str]]) -> Vec<Listed<usize>> {
        let one = |(position, names): (usize, &&[&str])| Listed {
            position,
            names: names.iter().map(ToString::to_string).collect(),
            identity: position.to_string(),
            image: position,
        };
        names.iter().enumerate().map(one).collect()
    }

    fn chosen(images: &[&[&str]], image: ImageChoice<'_>) -> std::result::Result<Vec<usize>, String> {
        let query = Query { image, platform: &WantedPlatform::host(), source: "oci:d" };
        let chosen = choose(listed(images), query);
        chosen
            .map(|all| all.into_iter().map(|one| one.image).collect())
            .map_err(|failure| format!("{failure}; {}", failure.report().hint.as_deref().unwrap_or_default()))
    }

    #[test]
    fn a_short_name_and_a_full_one_are_one() {
        let images: &[&[&str]] = &[&["docker.io/library/ubuntu:24.04"], &["debian:latest", "debian:12"]];
        for (name, expected) in [
            ("ubuntu:24.04", 0),
            ("docker.io/library/ubuntu:24.04", 0),
            ("index.docker.io/library/ubuntu:24.04", 0),
            ("debian", 1),
            ("docker.io/library/debian", 1),
            ("debian:12", 1),
        ] {
            assert_eq!(chosen(images, ImageChoice::Named(name)), Ok(vec![expected]), "{name}");
        }
        let wrong = "the image does not have the name \"ubuntu\"; it has docker.io/library/ubuntu:24.04, debian:latest, debian:12";
        assert_eq!(chosen(images, ImageChoice::Named("ubuntu")), Err(wrong.into()));
        // a tag alone is not the name of a repository
        assert!(chosen(&[&["v1"]], ImageChoice::Named("docker.io/library/v1")).is_err());
    }

    #[test]
    fn the_first_is_never_taken_without_a_word() {
        let two: &[&[&str]] = &[&["a:1"], &[]];
        let said = "SOURCE has several images; choose one: 'oci:d:@0' (a:1), 'oci:d:@1' (unnamed)";
        assert_eq!(chosen(two, ImageChoice::Only), Err(said.into()));
        assert_eq!(chosen(two, ImageChoice::At(1)), Ok(vec![1]));
        let none = "the image does not have a position 2; it has a:1, @1";
        assert_eq!(chosen(two, ImageChoice::At(2)), Err(none.into()));
        // `nearest` decides between images that differ at most in their platforms
        assert_eq!(chosen(&[&[], &[]], ImageChoice::Only), Ok(vec![0, 1]));
    }

    #[test]
    fn one_image_of_two_names_is_one() {
        let mut images = listed(&[&["a:1"], &["a:2"]]);
        images.iter_mut().for_each(|image| image.identity = "same".into());
        let query = Query { image: ImageChoice::Only, platform: &WantedPlatform::host(), source: "oci:d" };
        assert_eq!(choose(images, query).expect("one").len(), 1);
    }

    #[test]
    fn the_nearest_platform_is_taken_if_there_is_one_of_it() {
        let wanted = WantedPlatform::Named("linux/arm/v7".parse().expect("a platform"));
        let query = Query { image: ImageChoice::Only, platform: &wanted, source: "oci:d" };
        let nearest = |platforms: &[&str]| {
            let names: Vec<&[&str]> = vec![&[]; platforms.len()];
            let platforms = platforms.iter().map(|text| text.parse().ok());
            let near = nearest(listed(&names).into_iter().zip(platforms).collect(), query)?;
            only(near, query).map(|one| one.image)
        };
        assert_eq!(nearest(&["linux/amd64", "linux/arm/v6", "linux/arm/v7"]).ok(), Some(2));
        assert_eq!(nearest(&["linux/amd64", "no platform"]).ok(), Some(1));
        for (offers, why) in [
            (&["linux/amd64"][..], "the image does not have the platform linux/arm/v7"),
            (&["linux/arm/v6", "linux/arm/v6"], "SOURCE has several images"),
        ] {
            assert_eq!(nearest(offers).expect_err("none, or several").to_string(), why);
        }
    }
}
