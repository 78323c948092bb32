// SPDX-License-Identifier: MIT OR Apache-2.0
//! As much of JSON and of JSON Schema as a report needs; a keyword it does not know is an error.

use std::collections::BTreeMap;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let value = reader.value()?;
        reader.space();
        if reader.rest.is_empty() { Ok(value) } else { Err(format!("more after the end: {}", reader.rest)) }
    }

    /// A field of an object, by a path of names.
    #[track_caller]
    pub fn at(&self, path: &str) -> &Self {
        path.split('/').fold(self, |value, name| match value {
            Self::Object(fields) => fields.get(name).unwrap_or_else(|| panic!("no {name} of {path}")),
            other => panic!("{other:?} is no object"),
        })
    }

    #[track_caller]
    pub fn number(&self, path: &str) -> f64 {
        match self.at(path) {
            Self::Number(number) => *number,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        match self.at(path) {
            Self::Text(text) => text,
            other => panic!("{path} is {other:?}"),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Result<Json, String> {
        for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
        {
            if self.take(word) {
                return Ok(value);
            }
        }
        if self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                if !items.is_empty() && !self.take(",") {
                    return Err(format!("no comma before {}", self.rest));
                }
                items.push(self.value()?);
            }
            return Ok(Json::List(items));
        }
        if self.take("{") {
            let mut fields = BTreeMap::new();
            while !self.take("}") {
                if !fields.is_empty() && !self.take(",") {
                    return Err(format!("no comma before {}", self.rest));
                }
                self.space();
                let name = self.text()?;
                if !self.take(":") {
                    return Err(format!("no colon after {name}"));
                }
                if fields.insert(name.clone(), self.value()?).is_some() {
                    return Err(format!("{name} stands there twice"));
                }
            }
            return Ok(Json::Object(fields));
        }
        if self.rest.starts_with('"') {
            return self.text().map(Json::Text);
        }
        let end = self.rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse().map(Json::Number).map_err(|_| format!("no value: {number}{rest}"))
    }

    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.strip_prefix('"').ok_or("no quote")?.chars();
        loop {
            match chars.next().ok_or("no end of a text")? {
                '"' => break,
                '\\' => text.push(match chars.next().ok_or("no end of an escape")? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).map_err(|why| why.to_string())?;
                        char::from_u32(code).ok_or("no character")?
                    }
                    c @ ('"' | '\\' | '/') => c,
                    c => return Err(format!("the escape {c}")),
                }),
                c if c < ' ' => return Err("a control character in a text".to_string()),
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }
}

/// What a value does not keep of a schema.
pub fn validate(schema: &Json, value: &Json, at: &str) -> Vec<String> {
    let Json::Object(keywords) = schema else { return vec![format!("{at}: no schema")] };
    let mut wrong = Vec::new();
    let mut check = |holds: bool, keyword: &str| {
        if !holds {
            wrong.push(format!("{at}: {keyword} does not hold for {value:?}"));
        }
    };
    for (keyword, want) in keywords {
        match (keyword.as_str(), want) {
            ("$schema" | "title" | "description" | "properties" | "additionalProperties" | "items", _) => {}
            ("const", want) => check(value == want, keyword),
            ("enum", Json::List(any)) => check(any.contains(value), keyword),
            ("minimum", Json::Number(least)) => {
                check(!matches!(value, Json::Number(number) if number < least), keyword);
            }
            ("type", Json::List(any)) => check(any.iter().any(|name| is_a(value, name)), keyword),
            ("type", name) => check(is_a(value, name), keyword),
            ("required", Json::List(names)) => {
                let has = |name: &Json| match (value, name) {
                    (Json::Object(fields), Json::Text(name)) => fields.contains_key(name),
                    _ => false,
                };
                check(names.iter().all(has), keyword);
            }
            (other, _) => panic!("{at}: this reader does not know {other}"),
        }
    }
    if let Json::Object(fields) = value {
        for (name, field) in fields {
            let known = match keywords.get("properties") {
                Some(Json::Object(properties)) => properties.get(name),
                _ => None,
            };
            match known.or(keywords.get("additionalProperties")) {
                Some(Json::Bool(false)) => wrong.push(format!("{at}/{name}: is not in the schema")),
                Some(schema) => wrong.extend(validate(schema, field, &format!("{at}/{name}"))),
                None => {}
            }
        }
    }
    if let (Json::List(items), Some(schema)) = (value, keywords.get("items")) {
        for item in items {
            wrong.extend(validate(schema, item, &format!("{at}/[]")));
        }
    }
    wrong
}

fn is_a(value: &Json, name: &Json) -> bool {
    let Json::Text(name) = name else { return false };
    match value {
        Json::Null => name == "null",
        Json::Bool(_) => name == "boolean",
        Json::Number(number) => name == "number" || (name == "integer" && number.fract() == 0.0),
        Json::Text(_) => name == "string",
        Json::List(_) => name == "array",
        Json::Object(_) => name == "object",
    }
}
