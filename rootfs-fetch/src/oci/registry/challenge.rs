//! WWW-Authenticate: how a server asks for authentication.
//!
//! Written by hand: http-auth rejects a field with one unreadable challenge, and unquoted values that contain
//! a URL; registries send both.
//!
//! # Source
//! RFC 9110, section 11.6.1; docker's token specification for realm, service and scope.

/// One way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer`, `basic`, in lower case.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter, its name in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The same without a parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(one, _)| one != name);
        self
    }
}

/// Parses a field, which can have several challenges. Everything after an unreadable part is ignored.
pub fn parse(field: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = field.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        match after_space.strip_prefix('=').filter(|_| !challenges.is_empty()) {
            Some(value) => {
                let Some((value, after)) = parameter(value.trim_start_matches([' ', '\t'])) else { break };
                if let Some(challenge) = challenges.last_mut() {
                    challenge.parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
            None => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
                rest = after_space;
            }
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

fn token(text: &str) -> (&str, &str) {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text.bytes().position(|byte| !part(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// A value in quotes or without.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // some servers do not quote a URL
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.push(chars.next()?.1),
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realm_service_and_scope_are_found() {
        let field = "Bearer realm=\"https://auth.example/token\",service=\"registry\" , Scope=\"repository:a/b:pull,push\"";
        let challenges = parse(field);
        let [bearer] = challenges.as_slice() else { panic!("one challenge: {challenges:?}") };
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.parameter("realm"), Some("https://auth.example/token"));
        assert_eq!(bearer.parameter("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(bearer.parameter("error"), None);
    }

    #[test]
    fn one_field_may_have_several_challenges() {
        let challenges = parse("Negotiate, basic realm=\"a \\\"b\\\"\", Bearer realm=x,service=y");
        let schemes: Vec<&str> = challenges.iter().map(|one| one.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(challenges.get(1).and_then(|one| one.parameter("realm")), Some("a \"b\""));
        assert_eq!(challenges.get(2).and_then(|one| one.parameter("service")), Some("y"));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for (field, count) in
            [("", 0), (",,", 0), ("\"x\"", 0), ("=x", 0), ("Bearer realm=\"open", 1), ("Bearer \u{1}", 1)]
        {
            assert_eq!(parse(field).len(), count, "{field:?}");
        }
    }
}
