//! The frame of a registry's serializer: a zero byte, the schema's id in 4 bytes, then the Avro body.

use super::Error;

/// The first byte of every frame.
const MAGIC: u8 = 0;

/// Splits a record's value into the id of its schema and its Avro body (which may be empty: a schema of
/// no fields has no bytes).
///
/// # Errors
/// `FrameEmpty`, `FrameShort`, `FrameMagic`.
pub fn split(value: &[u8]) -> Result<(u32, &[u8]), Error> {
    match value {
        [] => Err(Error::FrameEmpty),
        [MAGIC, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        [MAGIC, ..] => Err(Error::FrameShort { bytes: value.len() }),
        [byte, ..] => Err(Error::FrameMagic { byte: *byte }),
    }
}

/// Puts the frame of a schema id in front of a body that the caller appends.
pub fn put(schema_id: u32, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&schema_id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_front_is_split_off() {
        let mut value = Vec::new();
        put(0x0102_0304, &mut value);
        value.extend_from_slice(b"body");
        assert_eq!(split(&value), Ok((0x0102_0304, &b"body"[..])));
        assert_eq!(split(&value[..5]), Ok((0x0102_0304, &b""[..])));
    }

    #[test]
    fn each_broken_frame_has_its_name() {
        assert_eq!(split(b""), Err(Error::FrameEmpty));
        for bytes in 1..5 {
            assert_eq!(split(&[0; 5][..bytes]), Err(Error::FrameShort { bytes }));
        }
        assert_eq!(split(b"{\"a\":1}"), Err(Error::FrameMagic { byte: b'{' }));
        assert_eq!(split(&[1]), Err(Error::FrameMagic { byte: 1 }));
    }
}
