// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON, written: objects of numbers, texts and lists, in the order they are said. RFC 8259

use std::fmt::Write as _;

/// An object that grows field by field.
#[derive(Debug, Default)]
pub struct Object(String);

impl Object {
    /// A number.
    pub fn number(&mut self, name: &str, value: impl Into<i128>) -> &mut Self {
        self.raw(name, &value.into().to_string())
    }

    /// A number, where it is known.
    pub fn maybe(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name, &quoted(value))
    }

    /// An object, where it has any field.
    pub fn object(&mut self, name: &str, value: Self) -> &mut Self {
        if value.0.is_empty() { self } else { self.raw(name, &value.finish()) }
    }

    /// A list of what is JSON already.
    pub fn list(&mut self, name: &str, items: impl Iterator<Item = String>) -> &mut Self {
        self.raw(name, &format!("[{}]", items.collect::<Vec<_>>().join(",")))
    }

    /// What is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        // a String takes every write
        let _ = write!(self.0, "{comma}{}:{json}", quoted(name));
        self
    }

    /// The object as text.
    pub fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// A text as JSON has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_they_were_said() {
        let mut inner = Object::default();
        inner.maybe("unknown", None).number("n", 5u64);
        let mut object = Object::default();
        object.text("a", "x\"\n\u{1}é").object("b", inner).object("c", Object::default());
        object.list("d", ["1".to_string(), quoted("2")].into_iter());
        assert_eq!(object.finish(), "{\"a\":\"x\\\"\\n\\u0001é\",\"b\":{\"n\":5},\"d\":[1,\"2\"]}");
    }
}
