//! From an event to an outgoing record: pure.

use std::sync::Arc;

use super::form;
use super::sink::{Options, Output};
use crate::codec::frame;
use crate::port::Encode;
use crate::record::{End, Fault, Record, Scope, Value};

/// The header that carries the event's id, by the name that CloudEvents gives it.
const ID_HEADER: &str = "ce_id";

/// One partition's encoder.
pub(super) struct Encoder {
    pub(super) options: Arc<Options>,
    pub(super) outputs: Arc<[Output]>,
    /// The key of the record at hand.
    pub(super) scratch: Vec<u8>,
}

impl Encode for Encoder {
    fn encode(
        &mut self,
        scope: &Scope<'_>,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let target = self.options.router.as_ref().map_or(Ok(0), |router| router.pick(scope))?;
        let poison = |code: &'static str, reason: String| End::Fault(Fault::poison(code, reason));
        let Some(output) = self.outputs.get(target) else {
            return Err(poison("route", format!("there is no topic number {target}")));
        };
        let key = match &self.options.key {
            None => record.key,
            Some(program) => {
                let value = program.eval(scope).map_err(|error| {
                    poison("expression", format!("key `{}`: {error}", program.text()))
                })?;
                self.scratch.clear();
                write_key(&value, &mut self.scratch)?.then_some(self.scratch.as_slice())
            }
        };
        let number = u16::try_from(target)
            .map_err(|_| poison("route", format!("topic number {target} is too high")))?;
        form::begin(out, number, record.timestamp, key);
        let Value::Str(id) = scope.id else {
            return Err(poison("id", "the event's id is not text".to_owned()));
        };
        let copied = record.headers.iter().filter(|_| self.options.copy_headers);
        let kept = copied.filter(|(name, _)| *name != ID_HEADER);
        form::headers(out, kept.chain([(ID_HEADER, Some(id.as_bytes()))]));
        frame::put(output.schema_id, out);
        output.encoder.encode(scope.event, out).map_err(|e| poison(e.code(), e.to_string()))
    }
}

/// A key's bytes: text as it is, bytes as they are, numbers and ids as text; false: a null key.
fn write_key(value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, End> {
    match value {
        Value::Null => return Ok(false),
        Value::Str(text) => out.extend(text.as_bytes()),
        Value::Bytes(bytes) => out.extend(*bytes),
        Value::Int(number) => out.extend(number.to_string().as_bytes()),
        Value::Uuid(id) => out.extend(id.to_string().as_bytes()),
        other => {
            let reason = format!("a key cannot be {:?}: make it text", other.kind());
            return Err(End::Fault(Fault::poison("key", reason)));
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text_or_bytes_or_null() {
        let written = |value: Value<'_>| {
            let mut out = Vec::new();
            write_key(&value, &mut out).map(|some| some.then_some(out))
        };
        assert_eq!(written(Value::Null), Ok(None));
        assert_eq!(written(Value::Str("")), Ok(Some(Vec::new())));
        assert_eq!(written(Value::Int(-7)), Ok(Some(b"-7".to_vec())));
        assert!(written(Value::Double(1.0)).is_err());
    }
}
