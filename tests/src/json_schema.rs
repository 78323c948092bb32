//! The part of JSON Schema that a report needs; an unknown keyword is an error.

pub use serde_json::Value;

/// Reads a JSON document.
///
/// # Errors
/// Where it is not JSON.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// Fields of a JSON document by a path of names: `memory/limit`.
pub trait Fields {
    /// A field.
    fn at(&self, path: &str) -> &Value;
    /// The number in a field.
    fn number(&self, path: &str) -> f64;
    /// The string in a field.
    fn text(&self, path: &str) -> &str;
}

impl Fields for Value {
    #[track_caller]
    fn at(&self, path: &str) -> &Value {
        self.pointer(&format!("/{path}")).unwrap_or_else(|| panic!("no {path} in {self}"))
    }

    #[track_caller]
    fn number(&self, path: &str) -> f64 {
        let field = self.at(path);
        field.as_f64().unwrap_or_else(|| panic!("{path} is {field}"))
    }

    #[track_caller]
    fn text(&self, path: &str) -> &str {
        let field = self.at(path);
        field.as_str().unwrap_or_else(|| panic!("{path} is {field}"))
    }
}

/// Each rule of a schema that a value breaks; `at` is the path of the value.
///
/// # Panics
/// On an unknown keyword.
pub fn validate(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(keywords) = schema else { return vec![format!("{at}: no schema")] };
    let mut wrong = Vec::new();
    for (keyword, want) in keywords {
        let holds = match (keyword.as_str(), want) {
            ("$schema" | "title" | "description" | "properties" | "additionalProperties" | "items", _) => {
                true
            }
            ("const", want) => value == want,
            ("enum", Value::Array(any)) => any.contains(value),
            ("minimum", Value::Number(least)) => {
                value.as_f64().is_none_or(|number| Some(number) >= least.as_f64())
            }
            ("type", Value::Array(any)) => any.iter().any(|name| is_a(value, name)),
            ("type", name) => is_a(value, name),
            ("required", Value::Array(names)) => {
                names.iter().all(|name| value.get(name.as_str().unwrap_or_default()).is_some())
            }
            (other, _) => panic!("{at}: unknown keyword {other}"),
        };
        if !holds {
            wrong.push(format!("{at}: {keyword} does not hold for {value}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let known = keywords.get("properties").and_then(|properties| properties.get(name));
        match known.or(keywords.get("additionalProperties")) {
            Some(Value::Bool(false)) => wrong.push(format!("{at}/{name}: is not in the schema")),
            Some(schema) => wrong.extend(validate(schema, field, &format!("{at}/{name}"))),
            None => {}
        }
    }
    if let (Value::Array(items), Some(schema)) = (value, keywords.get("items")) {
        wrong.extend(items.iter().flat_map(|item| validate(schema, item, &format!("{at}/[]"))));
    }
    wrong
}

fn is_a(value: &Value, name: &Value) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            name == "number"
                || name == "integer" && number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}
